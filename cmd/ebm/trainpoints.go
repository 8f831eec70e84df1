package main

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"

	"ebm/internal/atomicfile"
	"ebm/internal/files"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/models/tensor"
)

// points returns the settings of a training on points, those of --data.
func (f *trainFlags) points(flags *pflag.FlagSet) (train.Settings, error) {
	s := train.Points(0)
	if flags.Changed("net") && f.s.Net.Name != train.MLP {
		return s, usagef("--net %q, want mlp for points", f.s.Net.Name)
	}
	if name := f.s.Data.Dir; slices.Contains(dataset.PointSets(), name) {
		s.Data.Name, f.s.Data.Dir = name, "" // the flag names no folder
	} else {
		s.Data.Name, s.Data.Points = "points", 0
	}
	return s, nil
}

// loadPoints draws or reads the points of the settings, standardised, and enters
// what follows from them.
func loadPoints(s *train.Settings) (dataset.Data, error) {
	var x *tensor.Tensor
	var err error
	if s.Data.Points > 0 {
		x, err = dataset.DrawPoints(s.Data.Name, s.Data.Points, s.Seed)
	} else {
		x, err = dataset.ReadPoints(s.Data.Dir)
	}
	if err != nil {
		return nil, err
	}
	if s.Net.Name == train.MLP {
		s.Net.Inputs = x.Shape()[1]
	}
	s.Data.Mean, s.Data.Deviation = dataset.Standardise(x)
	return dataset.Rows(x)
}

// placeModel puts the energy of --model into the run's folder, and enters its hash.
func (f *trainFlags) placeModel(s *train.Settings, begun bool) error {
	if f.model == "" || begun {
		return nil
	}
	if _, _, err := s.Net.Read(f.model); err != nil {
		return err // before anything is written
	}
	b, err := files.ReadFile(f.model)
	if err != nil {
		return err
	}
	s.Net.File = fmt.Sprintf("%x", sha256.Sum256(b))
	if err := atomicfile.MkdirAll(f.out); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(f.out, train.EnergyFile), b)
}
