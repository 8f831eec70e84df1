package main

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"ebm/cmd/internal/assess"
	"ebm/mdsm/train"
)

// variant is a choice of the values of --set, over all settings.
type variant struct {
	train.Settings
	set map[string]string
}

// variants returns the settings of every choice of the values of --set.
func (f *sweepFlags) variants(flags *pflag.FlagSet, base train.Settings) ([]variant, error) {
	chosen := []variant{{base, map[string]string{}}}
	table := trainKnobs()
	for _, text := range f.set {
		name, values, ok := strings.Cut(text, "=")
		i := slices.IndexFunc(table, func(k knob[train.Settings]) bool { return k.name == name && sweeps(k.key) })
		_, twice := chosen[0].set[name]
		switch {
		case !ok || values == "":
			return nil, usagef("--set %s, want NAME=VALUE,VALUE…", text)
		case i < 0:
			return nil, usagef("--set %s, want one of %s", text, strings.Join(sweepable(), ", "))
		case flags.Changed(name) || twice:
			return nil, usagef("--set %s is given beside another --set or --%s, want one of them", text, name)
		}
		separator := ","
		if strings.Contains(values, ";") {
			separator = ";"
		}
		var next []variant
		for _, had := range chosen {
			for _, value := range strings.Split(values, separator) {
				v := variant{had.Settings, maps.Clone(had.set)}
				one := pflag.NewFlagSet(name, pflag.ContinueOnError)
				table[i].add(one, &v.Settings)
				if err := one.Set(name, value); err != nil {
					return nil, usagef("--set %s: %w", text, err)
				}
				v.set[name] = v.Values()[table[i].key]
				next = append(next, v)
			}
		}
		chosen = next
	}
	for _, v := range chosen {
		var bad *train.SettingError
		if err := v.Validate(); errors.As(err, &bad) {
			return nil, usagef("--set with %s: %s", assess.Label(v.set), bad.Named(table.flag(bad.Key)))
		} else if err != nil {
			return nil, err
		}
	}
	return chosen, nil
}

// sweeps reports whether a setting may differ between the runs of a sweep: not what the
// losses of all are measured on, nor what a run leaves behind.
func sweeps(key string) bool {
	section, _, _ := strings.Cut(key, ".")
	return key == "data.flip" || section != "data" && section != "output" && !slices.Contains([]string{"seed", "steps", "net.channels",
		"net.input", "net.output", "net.energy_of"}, key)
}

// sweepable returns the flags that --set takes.
func sweepable() (names []string) {
	for _, k := range trainKnobs() {
		if sweeps(k.key) {
			names = append(names, k.name)
		}
	}
	return names
}

// folderOf names the folder of a run.
func folderOf(set map[string]string, seed uint64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		parts = append(parts, name+"="+strings.Trim(regexp.MustCompile(`[^\pL\pN.+-]+`).ReplaceAllString(set[name], "-"), "-"))
	}
	return strings.Join(append(parts, fmt.Sprintf("seed=%d", seed)), ",")
}
