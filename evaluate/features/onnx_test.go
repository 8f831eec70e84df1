package features

import (
	"context"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"ebm/export"
	"ebm/internal/testkit"
	"ebm/models/graph"
	"ebm/models/inception"
	"ebm/models/tensor"
)

// featureNetwork writes an ONNX file that takes pictures [N channels 6 6] of
// some type and gives them back as features, and their squares in two more
// axes.
func featureNetwork(t *testing.T, dtype tensor.DType, channels int, sizes map[string]int) string {
	t.Helper()
	g := graph.New("network")
	x := g.Input("in", dtype, graph.Batch(channels, 6, 6))
	flat := graph.Reshape(x, graph.Shape{x.Shape()[0], graph.Const(channels * 36)})
	g.Output("flat", flat)
	g.Output("squares", graph.Reshape(graph.Mul(flat, flat),
		graph.Shape{x.Shape()[0], graph.Const(channels * 36), graph.Const(1), graph.Const(1)}))
	g.Output("map", graph.Mul(x, x))
	path := filepath.Join(t.TempDir(), "network.onnx")
	if err := export.WriteFile(path, g, export.Options{Sizes: sizes}); err != nil {
		t.Fatal(err)
	}
	return path
}

// ramp is n pictures of 6×6 with different values.
func ramp(n, channels int) *tensor.Tensor {
	x := tensor.New(tensor.Uint8, n, channels, 6, 6)
	for i := range x.Len() {
		tensor.Data[uint8](x)[i] = uint8(i * 7)
	}
	return x
}

func TestONNXExtractor(t *testing.T) {
	rt, ctx := testkit.Open(t, 1), context.Background()
	for _, c := range []struct {
		name     string
		dtype    tensor.DType
		channels int // of the network
		picture  int // channels of the pictures
		sizes    map[string]int
		r        InputRange
		want     func(v float64, channel int) float64
		within   float64
	}{
		{"unit", tensor.Float32, 3, 3, nil, RangeUnit, func(v float64, _ int) float64 { return v / 255 }, 1e-7},
		{"signed", tensor.Float32, 3, 3, nil, RangeSigned, func(v float64, _ int) float64 { return v/127.5 - 1 }, 2e-7},
		{"bytes", tensor.Float32, 1, 1, nil, RangeByte, func(v float64, _ int) float64 { return v }, 0},
		{"imagenet", tensor.Float32, 3, 3, nil, RangeImageNet, func(v float64, c int) float64 {
			return (v/255 - []float64{0.485, 0.456, 0.406}[c]) / []float64{0.229, 0.224, 0.225}[c]
		}, 1e-6},
		{"grey as colour", tensor.Float32, 3, 1, nil, RangeUnit, func(v float64, _ int) float64 { return v / 255 }, 1e-7},
		{"a fixed batch", tensor.Float32, 3, 3, map[string]int{"N": 4}, RangeUnit, func(v float64, _ int) float64 { return v / 255 }, 1e-7},
		{"float16", tensor.Float16, 3, 3, nil, RangeUnit, func(v float64, _ int) float64 { return v / 255 }, 5e-4},
	} {
		const n = 13
		e, err := NewONNX(rt, ONNXOptions{
			Path: featureNetwork(t, c.dtype, c.channels, c.sizes), Output: "flat", Logits: "squares", Range: c.r, Channels: c.picture,
			Height: 6, Width: 6, Batch: 3,
		})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		defer e.Close()
		pictures := ramp(n, c.picture)
		got, err := e.Features(ctx, pictures, nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.Features.Shape()[0] != n || got.Logits.Shape()[0] != n || got.Logits.Shape()[1] != c.channels*36 {
			t.Errorf("%s: features %v, logits %v", c.name, got.Features, got.Logits)
		}
		for i, v := range tensor.Data[float32](got.Features) {
			picture, channel, pixel := i/(36*c.channels), i/36%c.channels, i%36
			source := tensor.Data[uint8](pictures)[(picture*c.picture+channel%c.picture)*36+pixel]
			want := c.want(float64(source), channel)
			if math.Abs(float64(v)-want) > c.within*max(1, math.Abs(want)) {
				t.Errorf("%s: value %d of colour %d is %g, want %g", c.name, source, channel, v, want)
				break
			}
			if square := float64(tensor.Data[float32](got.Logits)[i]); math.Abs(square-want*want) > 1e-2*max(1, want*want) {
				t.Errorf("%s: square %g, want %g", c.name, square, want*want)
				break
			}
		}
	}
}

// Another size is resized to, by the convention that was chosen.
func TestONNXExtractorResizes(t *testing.T) {
	rt := testkit.Open(t, 1)
	x := ramp(2, 3)
	wide := tensor.New(tensor.Uint8, 2, 3, 12, 18)
	for i := range wide.Len() {
		column, row, plane := i%18, i/18%12, i/(18*12)
		tensor.Data[uint8](wide)[i] = tensor.Data[uint8](x)[plane*36+row/2*6+column/3]
	}
	for _, convention := range inception.Conventions() {
		e, err := NewONNX(rt, ONNXOptions{
			Path: featureNetwork(t, tensor.Float32, 3, nil), Output: "flat", Range: RangeByte, Convention: convention,
			Channels: 3, Height: 12, Width: 18,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		got, err := e.Features(context.Background(), wide, nil)
		if err != nil {
			t.Fatal(err)
		}
		// Repeated pixels are found again where the interpolation looks at one
		// place; an antialiased one looks at their neighbours too.
		off := 0.0
		for i, v := range tensor.Data[float32](got.Features) {
			off = max(off, math.Abs(float64(v)-float64(tensor.Data[uint8](x)[i])))
		}
		if exact := convention != inception.Clean && convention != inception.Pillow; exact != (off < 1e-3) {
			t.Errorf("%s: pixels are off by %g", convention, off)
		}
	}
}

func TestONNXExtractorErrors(t *testing.T) {
	rt := testkit.Open(t, 1)
	colour, grey := featureNetwork(t, tensor.Float32, 3, nil), featureNetwork(t, tensor.Float32, 1, nil)
	for _, c := range []struct {
		name, want string
		o          ONNXOptions
	}{
		{"no file", "none.onnx", ONNXOptions{Path: "none.onnx", Output: "flat", Channels: 3, Height: 6, Width: 6}},
		{"several outputs", "choose one with --features-output", ONNXOptions{Path: colour, Channels: 3, Height: 6, Width: 6}},
		{"no such output", `no output "hidden", it has flat float32[N 108]`,
			ONNXOptions{Path: colour, Output: "hidden", Channels: 3, Height: 6, Width: 6}},
		{"no such logits", `no output "hidden"`, ONNXOptions{Path: colour, Output: "flat", Logits: "hidden", Channels: 3, Height: 6, Width: 6}},
		{"colour for grey", "it takes grey pictures", ONNXOptions{Path: grey, Output: "flat", Channels: 3, Height: 6, Width: 6}},
		{"a range", `range "2..3"`, ONNXOptions{Path: colour, Output: "flat", Range: "2..3", Channels: 3, Height: 6, Width: 6}},
		{"a convention", `preprocessing "best"`, ONNXOptions{Path: colour, Output: "flat", Convention: "best", Channels: 3, Height: 7, Width: 6}},
		{"no picture", "positive sizes", ONNXOptions{Path: colour, Output: "flat", Channels: 3, Height: 6}},
	} {
		if e, err := NewONNX(rt, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			if err == nil {
				e.Close()
			}
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
	e, err := NewONNX(rt, ONNXOptions{Path: colour, Output: "map", Channels: 3, Height: 6, Width: 6})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Features(context.Background(), ramp(2, 3), nil); err == nil ||
		!strings.Contains(err.Error(), "float32[2 3 6 6] for 2 pictures") {
		t.Errorf("feature maps: %v", err)
	}
}
