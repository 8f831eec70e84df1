package features

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/inception"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// inceptionWeights draws weights with the names and shapes of the published ones.
func inceptionWeights(t *testing.T) *weights.Set {
	t.Helper()
	arrays := testkit.Arrays(t, "../../models/inception/testdata/golden.npz")
	var set weights.Set
	for i, line := range strings.Split(strings.TrimSpace(string(tensor.Data[uint8](arrays["names"]))), "\n") {
		name, sizes, _ := strings.Cut(line, " ")
		var shape []int
		for _, s := range strings.Split(sizes, "x") {
			var n int
			if _, err := fmt.Sscan(s, &n); err != nil {
				t.Fatal(err)
			}
			shape = append(shape, n)
		}
		value := tensor.New(tensor.Float32, shape...)
		rng.New(1).Uniform(tensor.Data[float32](value), 1, uint64(i), 0)
		limit := float32(math.Sqrt(6 / float64(value.Len()/shape[0])))
		for j, v := range tensor.Data[float32](value) {
			if len(shape) > 1 {
				tensor.Data[float32](value)[j] = (2*v - 1) * limit
			} else {
				tensor.Data[float32](value)[j] = v + 0.5
			}
		}
		if err := set.Add(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return &set
}

func TestExtractor(t *testing.T) {
	testkit.Long(t)
	ctx := context.Background()
	rt := testkit.Open(t, 1)
	set := inceptionWeights(t)
	grey := tensor.New(tensor.Uint8, 3, 1, 20, 14)
	colour := tensor.New(tensor.Uint8, 3, 3, 20, 14)
	for i := range colour.Len() {
		v := uint8(rng.New(2).IntN(256, 1, uint64(i/(3*280)*280+i%280), 0))
		tensor.Data[uint8](colour)[i] = v
		tensor.Data[uint8](grey)[i/(3*280)*280+i%280] = v
	}
	features := func(o InceptionOptions, pictures *tensor.Tensor) Set {
		t.Helper()
		o.Weights, o.Height, o.Width = set, 20, 14
		e, err := NewInception(rt, o)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		out, err := e.Features(ctx, pictures, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Features(ctx, tensor.New(tensor.Uint8, 1, 1, 20, 15), nil); err == nil ||
			!strings.Contains(err.Error(), "uint8[1 1 20 15], want uint8[n") {
			t.Errorf("wrong size: %v", err)
		}
		if _, err := e.Features(ctx, tensor.New(tensor.Uint8, 0, o.Channels, 20, 14), nil); err == nil {
			t.Error("no pictures: no error")
		}
		stopped, stop := context.WithCancel(ctx)
		stop()
		if _, err := e.Features(stopped, pictures, nil); err == nil {
			t.Error("stopped: no error")
		}
		return out
	}
	whole := features(InceptionOptions{Channels: 3}, colour)
	if whole.Features.String() != "float32[3 2048]" || whole.Logits.String() != "float32[3 1008]" {
		t.Errorf("%v and %v", whole.Features, whole.Logits)
	}
	// A grey picture is one whose colours are equal, and batches change rounding alone.
	parts := features(InceptionOptions{Channels: 1, Batch: 2}, grey)
	if off := testkit.Apart(parts.Features, whole.Features); !(off < 1e-5) {
		t.Errorf("grey pictures in two batches are off by %.2g", off)
	}
	other := features(InceptionOptions{Channels: 1, Convention: inception.TF}, grey)
	if off := testkit.Apart(other.Features, whole.Features); !(off > 1e-3) {
		t.Errorf("another convention changes features by %.2g, want more", off)
	}
	for _, o := range []InceptionOptions{{}, {Weights: set, Channels: 2, Height: 8, Width: 8}, {Weights: set, Channels: 3, Height: 8},
		{Weights: &weights.Set{}, Channels: 3, Height: 8, Width: 8}, {Weights: set, Channels: 3, Height: 8, Width: 8, Convention: "best"}} {
		if e, err := NewInception(rt, o); err == nil {
			e.Close()
			t.Errorf("%+v: no error", o)
		}
	}
}
