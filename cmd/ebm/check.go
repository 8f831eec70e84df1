package main

import (
	"errors"
	"slices"
	"strings"

	"ebm/cmd/internal/assess"
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

// asUsage returns an error as wrong usage where options of an assessment were
// wrong.
func asUsage(err error) error {
	if errors.As(err, new(assess.WrongOption)) {
		return usageError{err}
	}
	return err
}
