package main

import (
	"errors"
	"slices"
	"strings"

	"ebm/cmd/internal/assess"
	"ebm/export/onnximport"
	"ebm/mdsm/dataset"
)

// someOf checks the values of a flag, each of which must have one of the names.
func someOf(flag string, values, names []string) error {
	for _, v := range values {
		if !slices.Contains(names, v) {
			return usagef("%s %s, want one of %s", flag, v, strings.Join(names, ", "))
		}
	}
	return nil
}

// wrongUsage reports whether an error is one in the way the program was called:
// said by a command, or by what has options or names of its own.
func wrongUsage(err error) bool {
	return errors.As(err, new(usageError)) || errors.As(err, new(assess.WrongOption)) ||
		errors.As(err, new(*dataset.NameError)) || errors.As(err, new(*onnximport.NameError))
}
