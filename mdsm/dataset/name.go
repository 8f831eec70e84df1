package dataset

import (
	"fmt"
	"slices"
	"strings"
)

// NameError says that a data set was named which there is not.
type NameError struct{ Name, Want string }

func (e *NameError) Error() string { return fmt.Sprintf("data set %q, want %s", e.Name, e.Want) }

// ParseName takes NAME or NAME:SPLIT apart, such as mnist or mnist:test, and
// returns a [*NameError] where a data set has not that name, or not that
// split. Without a split it is the usual one.
func ParseName(ref string, usual Split) (name string, split Split, err error) {
	name, part, said := strings.Cut(ref, ":")
	if !slices.Contains(Names(), name) {
		return "", 0, &NameError{Name: name, Want: "one of " + strings.Join(Names(), ", ")}
	}
	if !said {
		return name, usual, nil
	}
	for _, s := range []Split{Train, Test} {
		if part == s.String() {
			return name, s, nil
		}
	}
	return "", 0, &NameError{Name: ref, Want: fmt.Sprintf("%s:%v or %s:%v", name, Train, name, Test)}
}
