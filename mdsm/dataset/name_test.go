package dataset

import (
	"errors"
	"testing"
)

func TestParseName(t *testing.T) {
	for ref, want := range map[string]struct {
		name  string
		split Split
	}{"mnist": {"mnist", Test}, "mnist:train": {"mnist", Train}, "cifar10:test": {"cifar10", Test}} {
		if name, split, err := ParseName(ref, Test); err != nil || name != want.name || split != want.split {
			t.Errorf("%s is %s %v, error %v; want %v", ref, name, split, err, want)
		}
	}
	for ref, want := range map[string]string{
		"mnist:valid": `data set "mnist:valid", want mnist:train or mnist:test`,
		"mnist:":      `data set "mnist:", want mnist:train or mnist:test`,
		"odd:test":    `data set "odd", want one of mnist, fashion-mnist, stacked-mnist, cifar10, svhn, celeba, folder`,
		"":            `data set "", want one of mnist, fashion-mnist, stacked-mnist, cifar10, svhn, celeba, folder`,
	} {
		_, _, err := ParseName(ref, Test)
		if !errors.As(err, new(*NameError)) || err.Error() != want {
			t.Errorf("%q: error %v, want %s", ref, err, want)
		}
	}
}
