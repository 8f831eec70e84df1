package main

import (
	"github.com/spf13/pflag"

	"ebm/mdsm/train"
)

// knob is a flag that changes one setting of a preset or a config file. It
// has no default of its own.
type knob struct {
	name string
	// add defines the flag, which writes to its place in s.
	add func(fs *pflag.FlagSet, s *train.Settings)
	// copy takes the setting over.
	copy func(to, from *train.Settings)
}

func newKnob[T any](name string, field func(*train.Settings) *T, define func(fs *pflag.FlagSet, p *T)) knob {
	return knob{
		name: name,
		add:  func(fs *pflag.FlagSet, s *train.Settings) { define(fs, field(s)) },
		copy: func(to, from *train.Settings) { *field(to) = *field(from) },
	}
}

func number(name, help string, field func(*train.Settings) *int) knob {
	return newKnob(name, field, func(fs *pflag.FlagSet, p *int) { fs.IntVar(p, name, 0, help) })
}

func natural(name, help string, field func(*train.Settings) *uint64) knob {
	return newKnob(name, field, func(fs *pflag.FlagSet, p *uint64) { fs.Uint64Var(p, name, 0, help) })
}

func real(name, help string, field func(*train.Settings) *float64) knob {
	return newKnob(name, field, func(fs *pflag.FlagSet, p *float64) { fs.Float64Var(p, name, 0, help) })
}

func toggle(name, help string, field func(*train.Settings) *bool) knob {
	return newKnob(name, field, func(fs *pflag.FlagSet, p *bool) { fs.BoolVar(p, name, false, help) })
}

// word is a flag for a setting that is one of a few names.
func word[T ~string](name, help string, field func(*train.Settings) *T) knob {
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
