package train

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"ebm/internal/atomicfile"
	"ebm/internal/files"
)

// The files of settings in a run's folder.
const (
	ConfigFile           = "config.toml"     // Settings
	ClassifierConfigFile = "classifier.toml" // ClassifierSettings
)

// maxConfig bounds a file of settings, in bytes. What this program writes has
// about a thousand.
const maxConfig = 1 << 16

// HasConfig reports whether there are the settings of an energy's run in dir.
func HasConfig(dir string) bool {
	return files.IsRegular(filepath.Join(dir, ConfigFile))
}

// readConfig reads a file of settings, or the one called name in a folder. Keys
// that do not exist are an error that names them.
func readConfig[S any](path, name string) (s S, err error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, name)
	}
	text, err := files.ReadFile(path)
	if err != nil {
		return *new(S), fmt.Errorf("settings %w", err)
	}
	if len(text) > maxConfig {
		return *new(S), fmt.Errorf("settings %s: %d bytes, want %d at most", path, len(text), maxConfig)
	}
	var meta toml.MetaData
	if err = shallow(string(text)); err == nil {
		meta, err = toml.Decode(string(text), &s)
	}
	if err == nil {
		if unknown := meta.Undecoded(); len(unknown) > 0 {
			err = fmt.Errorf("unknown key %q", unknown[0].String())
		}
	}
	if err != nil {
		return *new(S), fmt.Errorf("settings %s: %w", path, err)
	}
	return s, nil
}

// maxNesting bounds how deep settings nest: brackets in brackets, and parts of a
// dotted key. The decoder takes memory with the square of either.
const maxNesting = 8

// shallow returns an error for text whose brackets or keys nest too deep. What
// is in strings and comments does not count.
func shallow(text string) error {
	brackets, parts := 0, 0
	for i := 0; i < len(text); {
		skip := 1
		switch c := text[i]; c {
		case '[', '{':
			brackets++
			parts = 0
		case ']', '}':
			brackets = max(brackets-1, 0)
			parts = 0
		case '=', ',', '\n':
			parts = 0
		case '.':
			parts++
		case '#':
			skip = end(text[i:], "\n", false) - 1 // the newline counts
		case '"', '\'':
			quote := string(c)
			if triple := strings.Repeat(quote, 3); strings.HasPrefix(text[i:], triple) {
				quote = triple
			}
			skip = end(text[i:], quote, c == '"')
		}
		if brackets > maxNesting || parts > maxNesting {
			return fmt.Errorf("line %d nests %d deep, want %d at most", 1+strings.Count(text[:i], "\n"), max(brackets, parts), maxNesting)
		}
		i += max(skip, 1)
	}
	return nil
}

// end returns the length of what text begins with, a string between marks or a
// comment up to one; all of text when the mark is missing.
func end(text, mark string, escapes bool) int {
	for i := len(mark); i < len(text); i++ {
		switch {
		case escapes && text[i] == '\\':
			i++
		case strings.HasPrefix(text[i:], mark):
			return i + len(mark)
		}
	}
	return len(text)
}

// writeConfig writes settings into a run's folder.
func writeConfig(dir, name string, s any) error {
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(s); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	return atomicfile.WriteFile(filepath.Join(dir, name), b.Bytes())
}

// eachSetting calls f for every setting with its path in the file, such as
// "noise.sigma0". s is a pointer to a struct of settings.
func eachSetting(s any, f func(key string, v reflect.Value)) {
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("toml"), ",")
			if field := v.Field(i); field.Kind() == reflect.Struct {
				walk(prefix+name+".", field)
			} else {
				f(prefix+name, field)
			}
		}
	}
	walk("", reflect.ValueOf(s).Elem())
}

// KeyOf returns the path in the file, such as "noise.sigma0", of the setting
// that field points to in the settings s; "" when it points to none.
func KeyOf(s, field any) (key string) {
	eachSetting(s, func(k string, v reflect.Value) {
		if v.Addr().Interface() == field {
			key = k
		}
	})
	return key
}

func values(s any) map[string]string {
	all := make(map[string]string)
	eachSetting(s, func(key string, v reflect.Value) { all[key] = fmt.Sprint(v.Interface()) })
	return all
}

// SettingError says that a setting cannot be.
type SettingError struct {
	Key   string // its path in the file, such as "noise.sigma0"
	Value any
	Want  string
}

// Error says what the setting is and what is wanted.
func (e *SettingError) Error() string { return e.Named(e.Key) }

// Named is Error with another name for the setting, such as that of a flag.
func (e *SettingError) Named(name string) string {
	if v := reflect.ValueOf(e.Value); v.Kind() == reflect.String {
		return fmt.Sprintf("%s %q, want %s", name, v.String(), e.Want)
	}
	return fmt.Sprintf("%s %v, want %s", name, e.Value, e.Want)
}

// Change is a setting that differs between a run and what is wanted of it.
type Change struct{ Key, Had, Wanted string }

// ResumeError says that a run cannot go on with other settings.
type ResumeError struct {
	Dir     string
	Changes []Change // one or more, in the order of their keys
}

// Error lists the changes.
func (e *ResumeError) Error() string {
	list := make([]string, len(e.Changes))
	for i, c := range e.Changes {
		list[i] = fmt.Sprintf("%s %s, want %s", c.Key, c.Had, c.Wanted)
	}
	return fmt.Sprintf("resume %s: the run there has other settings: %s", e.Dir, strings.Join(list, "; "))
}

// continues reports whether a run with the settings had can go on with wanted.
func continues(dir string, had, wanted map[string]string) error {
	e := &ResumeError{Dir: dir}
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		if had[key] != wanted[key] {
			e.Changes = append(e.Changes, Change{key, had[key], wanted[key]})
		}
	}
	if len(e.Changes) > 0 {
		return e
	}
	return nil
}
