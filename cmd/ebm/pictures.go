package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ebm"
	"ebm/export/onnximport"
	"ebm/internal/dataset"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/tensor"
)

// chosen is an energy network that a command was given, with what is known of
// it.
type chosen struct {
	network energy.Network
	weights energy.Weights
	sigma0  float64
	pad     int
	data    string // the data set that it was trained on, "" when that is not known
	about   map[string]string
}

// loadEnergy finds what ref names, as an energy: a model with weights, or an
// ONNX file that computes one. sigma0, when it is not 0, is believed in place
// of what a file says.
func loadEnergy(ref string, sigma0 float64) (chosen, error) {
	if strings.EqualFold(filepath.Ext(ref), ".onnx") {
		m, err := onnximport.Read(ref, onnximport.Options{})
		if err != nil {
			return chosen{}, err
		}
		n, err := mdsm.Function(m.Graph)
		if err != nil {
			return chosen{}, fmt.Errorf("%s: %w", ref, err)
		}
		c := chosen{network: n, sigma0: sigma0, about: m.Metadata}
		if c.sigma0 == 0 {
			c.sigma0 = 0.1
			if text, ok := m.Metadata["sigma0"]; ok {
				if _, err := fmt.Sscan(text, &c.sigma0); err != nil || !(c.sigma0 > 0) {
					return c, fmt.Errorf("%s: metadata say sigma0 is %q, wanted a positive number", ref, text)
				}
			}
		}
		return c, nil
	}
	m, err := ebm.Load(ref)
	if err != nil {
		return chosen{}, err
	}
	c := chosen{network: m.Network, weights: m.Weights, sigma0: m.Sigma0, pad: m.Pad, data: m.About["data"], about: m.Metadata()}
	if sigma0 != 0 {
		c.sigma0 = sigma0
	}
	return c, nil
}

// runFolder returns ref if it is the folder of a run, "" if not.
func runFolder(ref string) string {
	if info, err := os.Stat(filepath.Join(ref, "config.toml")); err == nil && !info.IsDir() {
		return ref
	}
	return ""
}

// pictureFlags say which pictures a command takes.
type pictureFlags struct {
	images, data string
	count        int
}

// load reads pictures as float32 [N C H W] for a model of one shape: a data
// set by name, such as mnist or mnist:train (its test pictures when no split
// is said), or a user's own files.
func (f *pictureFlags) load(ctx context.Context, a *app, shape []int) (*tensor.Tensor, error) {
	if len(shape) != 3 {
		return nil, fmt.Errorf("a model of pictures [C H W] is wanted, not of %v", shape)
	}
	name, split, _ := strings.Cut(f.images, ":")
	known := func(info dataset.Info) bool { return info.Name == name && name != "folder" }
	if !slices.ContainsFunc(dataset.Catalogue(), known) {
		x, err := dataset.Pictures(ctx, f.images, shape)
		if err != nil || f.count == 0 || x.Shape()[0] <= f.count {
			return x, err
		}
		return first(x, f.count), nil
	}
	spec := dataset.Spec{Name: name, Dir: f.data, Split: dataset.Test, Size: shape[2], Log: a.log}
	switch split {
	case "", "test":
	case "train":
		spec.Split = dataset.Train
	default:
		return nil, usagef("%s: %q is no part of a data set, wanted %s:train or %s:test", f.images, split, name, name)
	}
	set, err := dataset.Load(ctx, spec)
	if err != nil {
		return nil, err
	}
	for _, note := range set.Notes {
		a.log(f.images + ": " + note)
	}
	if has := []int{set.Channels, set.Height, set.Width}; !slices.Equal(has, shape) {
		return nil, fmt.Errorf("%s: its pictures are %v, the model wants %v", f.images, has, shape)
	}
	n := set.Len()
	if f.count > 0 {
		n = min(n, f.count)
	}
	index := make([]int, n)
	for i := range index {
		index[i] = i
	}
	x := tensor.New(tensor.Float32, append([]int{n}, shape...)...)
	set.Fill(tensor.Data[float32](x), index, nil)
	return x, nil
}

// first returns the first n rows of a float32 tensor.
func first(x *tensor.Tensor, n int) *tensor.Tensor { return slice(x, 0, n) }

// slice returns n rows of a float32 tensor, sharing its elements.
func slice(x *tensor.Tensor, at, n int) *tensor.Tensor {
	each := tensor.Volume(x.Shape()[1:])
	return tensor.Of(tensor.Data[float32](x)[at*each:(at+n)*each], append([]int{n}, x.Shape()[1:]...)...)
}

// joined returns the rows of several float32 tensors, one after the other.
func joined(parts ...*tensor.Tensor) *tensor.Tensor {
	var all []float32
	n := 0
	for _, x := range parts {
		all = append(all, tensor.Data[float32](x)...)
		n += x.Shape()[0]
	}
	return tensor.Of(all, append([]int{n}, parts[0].Shape()[1:]...)...)
}
