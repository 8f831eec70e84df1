package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"ebm/mdsm/train"
)

// knob is a flag that changes one setting in S, a struct of settings.
type knob[S any] struct {
	name string
	key  string // of the setting in the file
	// add defines the flag, which writes to its place in s; what is there is the
	// default.
	add func(fs *pflag.FlagSet, s *S)
	// copy takes the setting over.
	copy func(to, from *S)
}

func newKnob[S, T any](name string, field func(*S) *T, define func(fs *pflag.FlagSet, p *T)) knob[S] {
	s := new(S)
	return knob[S]{
		name: name, key: train.KeyOf(s, field(s)),
		add:  func(fs *pflag.FlagSet, s *S) { define(fs, field(s)) },
		copy: func(to, from *S) { *field(to) = *field(from) },
	}
}

func number[S any](name, help string, field func(*S) *int) knob[S] {
	return newKnob(name, field, func(fs *pflag.FlagSet, p *int) { fs.IntVar(p, name, *p, help) })
}

func natural[S any](name, help string, field func(*S) *uint64) knob[S] {
	return newKnob(name, field, func(fs *pflag.FlagSet, p *uint64) { fs.Uint64Var(p, name, *p, help) })
}

func real[S any](name, help string, field func(*S) *float64) knob[S] {
	return newKnob(name, field, func(fs *pflag.FlagSet, p *float64) { fs.Float64Var(p, name, *p, help) })
}

func toggle[S any](name, help string, field func(*S) *bool) knob[S] {
	return newKnob(name, field, func(fs *pflag.FlagSet, p *bool) { fs.BoolVar(p, name, *p, help) })
}

func span[S any](name, help string, field func(*S) *time.Duration) knob[S] {
	return newKnob(name, field, func(fs *pflag.FlagSet, p *time.Duration) { fs.DurationVar(p, name, *p, help) })
}

// checkpointEvery is the flag of the steps between checkpoints.
func checkpointEvery[S any](field func(*S) *train.Interval) knob[S] {
	const name = "checkpoint-every"
	return newKnob(name, field, func(fs *pflag.FlagSet, p *train.Interval) {
		fs.Var(intervalValue{p}, name, "steps between checkpoints, or auto: as far apart as is best for what one takes and for --mtbf")
	})
}

type intervalValue struct{ p *train.Interval }

func (v intervalValue) String() string {
	if v.p == nil {
		return ""
	}
	return v.p.String()
}

func (v intervalValue) Set(s string) (err error) {
	*v.p, err = train.ParseInterval(s)
	return err
}

func (v intervalValue) Type() string { return "steps" }

// word is a flag for a setting that is text, such as one of a few names.
func word[S any, T ~string](name, help string, field func(*S) *T) knob[S] {
	return newKnob(name, field, func(fs *pflag.FlagSet, p *T) { fs.Var(wordValue[T]{p}, name, help) })
}

type wordValue[T ~string] struct{ p *T }

func (v wordValue[T]) String() string {
	if v.p == nil {
		return ""
	}
	return string(*v.p)
}
func (v wordValue[T]) Set(s string) error { *v.p = T(s); return nil }
func (v wordValue[T]) Type() string       { return "string" }

// knobs are the flags of a command's settings.
type knobs[S any] []knob[S]

func (k knobs[S]) add(fs *pflag.FlagSet, s *S) {
	for _, one := range k {
		one.add(fs, s)
	}
}

// overlay takes the settings over whose flags were given.
func (k knobs[S]) overlay(flags *pflag.FlagSet, to, from *S) {
	for _, one := range k {
		if flags.Changed(one.name) {
			one.copy(to, from)
		}
	}
}

// flag returns the flag of a setting by its key, which is returned where there
// is none.
func (k knobs[S]) flag(key string) string {
	for _, one := range k {
		if one.key == key {
			return "--" + one.name
		}
	}
	return key
}

// wrong says an error in settings with the names of flags. file is where the
// settings come from, "" for flags alone.
func (k knobs[S]) wrong(flags *pflag.FlagSet, file string, err error) error {
	var bad *train.SettingError
	if !errors.As(err, &bad) {
		return err
	}
	name := k.flag(bad.Key)
	if file != "" && (name == bad.Key || !flags.Changed(name[len("--"):])) {
		return fmt.Errorf("%s: %w", file, err)
	}
	return usageError{errors.New(bad.Named(name))}
}

// refused says with the names of flags why a run cannot go on, and what can be
// done: remedy is what else than leaving the flags out.
func (k knobs[S]) refused(err error, remedy string) error {
	var changed *train.ResumeError
	if !errors.As(err, &changed) {
		return err
	}
	var list, leave []string
	for _, c := range changed.Changes {
		name := k.flag(c.Key)
		list = append(list, fmt.Sprintf("%s %s, want %s", name, c.Had, c.Wanted))
		if name != c.Key {
			leave = append(leave, name)
		}
	}
	text := fmt.Sprintf("the run in %s has %s", changed.Dir, strings.Join(list, "; "))
	if len(leave) > 0 {
		return fmt.Errorf("%s: leave out %s to go on, or %s", text, strings.Join(leave, " and "), remedy)
	}
	return fmt.Errorf("%s: %s", text, remedy)
}
