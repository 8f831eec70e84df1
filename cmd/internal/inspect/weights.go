package inspect

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"

	"ebm/models/energy"
	"ebm/models/tensor"
	"ebm/models/weights"
	"ebm/models/zoo"
)

// Weights describes named tensors.
type Weights struct {
	Bytes      int64             `json:"bytes,omitempty"` // of the file, 0 for a shipped model
	Tensors    []Tensor          `json:"tensors"`
	Parameters int64             `json:"parameters"` // elements in all
	NonFinite  int64             `json:"non_finite"` // elements that are infinite or not a number
	Metadata   map[string]string `json:"metadata"`
	SHA256     string            `json:"sha256"` // weights.Set.Hash, which metadata do not change
	// Network is the energy network that names and shapes fit, or "" for
	// NoNetwork, the reason why there is none.
	Network   string `json:"network,omitempty"`
	NoNetwork string `json:"no_network,omitempty"`
	// Note says what was taken of a file that holds more, and Beside what it holds that is no
	// tensor.
	Note   string   `json:"note,omitempty"`
	Beside []string `json:"beside,omitempty"`
	// Card says how a shipped model was made.
	Card *zoo.Card `json:"card,omitempty"`
}

// Tensor describes one tensor. Min, Max and Mean are over the finite elements
// and nil where there are none.
type Tensor struct {
	Name      string   `json:"name"`
	DType     string   `json:"dtype"`
	Shape     []int    `json:"shape"`
	Min       *float64 `json:"min"`
	Max       *float64 `json:"max"`
	Mean      *float64 `json:"mean"`
	NonFinite int64    `json:"non_finite"`
}

// describeWeightsFile describes the network in a file, or else its state
// dictionary, and what stands beside it.
func describeWeightsFile(ctx context.Context, path, place string) (*Weights, error) {
	f, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var part *weights.Part
	found, problem := energy.Find(f, place, "")
	if found != nil {
		part = found.Part
	} else if part, err = f.State(place); err != nil {
		return nil, err
	}
	part.KeepAll()
	set, err := part.Read()
	if err != nil {
		return nil, err
	}
	w, err := summarise(ctx, set)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if problem != nil {
		w.NoNetwork = problem.Error()
	} else if net, err := described(found.Network, set.Metadata); err != nil {
		w.NoNetwork = err.Error()
	} else {
		w.Network = net.String()
	}
	w.Note, w.Beside = part.Note(nil), f.Beside
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		w.Bytes = info.Size()
	}
	return w, nil
}

// describeSet describes tensors that should be a network's weights.
func describeSet(ctx context.Context, set *weights.Set) (*Weights, error) {
	w, err := summarise(ctx, set)
	if err != nil {
		return nil, err
	}
	if net, err := recognise(set); err != nil {
		w.NoNetwork = err.Error()
	} else {
		w.Network = net.String()
	}
	return w, nil
}

// summarise describes any tensors.
func summarise(ctx context.Context, set *weights.Set) (*Weights, error) {
	w := &Weights{Tensors: make([]Tensor, 0, set.Len()), Metadata: set.Metadata, SHA256: set.Hash()}
	if w.Metadata == nil {
		w.Metadata = map[string]string{}
	}
	for name, t := range set.All() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		row := describeTensor(name, t)
		w.Tensors = append(w.Tensors, row)
		w.Parameters += int64(t.Len())
		w.NonFinite += row.NonFinite
	}
	return w, nil
}

// recognise finds the network of a set.
func recognise(set *weights.Set) (energy.Picture, error) {
	w := make(energy.Weights, set.Len())
	for name, t := range set.All() {
		if t.Len() == 0 {
			return nil, fmt.Errorf("no network recognised: %s is %v, without elements", name, t)
		}
		w[name] = t
	}
	net, err := energy.Recognise(w)
	if err != nil {
		return nil, err
	}
	return described(net, set.Metadata)
}

// described returns a network with what the metadata say and weights do not show. A size
// that is not known either is any.
func described(found energy.Picture, metadata map[string]string) (energy.Picture, error) {
	plan := found.Plan()
	if a := energy.Activation(metadata["activation"]); a != "" {
		plan.Activation = a
	}
	if plan.Size == 0 {
		if plan.Size, _ = strconv.Atoi(metadata["size"]); plan.Size == 0 {
			return plan.Network(), nil
		}
	}
	net := plan.Network()
	return net, net.Validate()
}

func describeTensor(name string, t *tensor.Tensor) Tensor {
	d := Tensor{Name: name, DType: t.DType().String(), Shape: append([]int{}, t.Shape()...)}
	var s statistics
	switch data := t.Raw().(type) {
	case []float32:
		gather(&s, data, func(v float32) float64 { return float64(v) })
	case []float64:
		gather(&s, data, func(v float64) float64 { return v })
	case []tensor.Float16Bits:
		gather(&s, data, func(v tensor.Float16Bits) float64 { return float64(v.Float32()) })
	case []tensor.BFloat16Bits:
		gather(&s, data, func(v tensor.BFloat16Bits) float64 { return float64(v.Float32()) })
	default:
		gather(&s, t.Float64s(), func(v float64) float64 { return v })
	}
	d.NonFinite = s.nonFinite
	if s.n > 0 {
		mean := s.shift + s.sum/float64(s.n)
		d.Min, d.Max, d.Mean = &s.min, &s.max, &mean
	}
	return d
}

// statistics are of finite numbers. The sum is of differences from the first
// of them, so that a mean far from 0 keeps its digits.
type statistics struct {
	n, nonFinite         int64
	min, max, shift, sum float64
}

func gather[T any](s *statistics, data []T, value func(T) float64) {
	for _, e := range data {
		v := value(e)
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
			s.nonFinite++
			continue
		case s.n == 0:
			s.min, s.max, s.shift = v, v, v
		}
		s.n++
		s.min, s.max = min(s.min, v), max(s.max, v)
		s.sum += v - s.shift
	}
}
