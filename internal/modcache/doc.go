// Package modcache finds the files of a pinned Go module on this machine, so
// that a program can use data that a module carries (a shared library, a data
// set) without compiling any of its code.
//
// A module is looked for in the module cache first, which takes neither the
// network nor the go command. When it is not there, `go mod download` fetches
// it from whatever proxy the user has configured. Either way its checksum
// (the "h1:" line of go.sum: a SHA-256 over the names and SHA-256 sums of all
// its files) must be the one that the caller expects.
package modcache
