package bundle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"ebm/export"
	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// Deviation is how far an output of a variant is from the plain model's, over
// all probes.
type Deviation struct {
	Kind   string `json:"kind"`
	Output string `json:"output"`
	// Max is the largest absolute difference, in the output's units, and
	// Relative the same over the plain output's largest magnitude.
	Max      float64 `json:"max"`
	Relative float64 `json:"relative"`
	// RMS is the root mean square of the differences over that of the plain
	// output.
	RMS float64 `json:"rms"`
}

func (d Deviation) String() string {
	return fmt.Sprintf("max %.2g (%.2g of the largest), rms %.2g", d.Max, d.Relative, d.RMS)
}

const (
	halfAbout = "float16 weights and arithmetic between the first and the last convolution; float32 elsewhere"
	int8About = "weights of convolutions as int8 with a scale for each output channel; float32 arithmetic"
)

// lowering makes a variant of a graph.
type lowering func(*graph.Graph, export.Options) (*onnxpb.ModelProto, error)

func withPass(p export.Pass) lowering {
	return func(g *graph.Graph, o export.Options) (*onnxpb.ModelProto, error) {
		o.Passes = append(export.Passes(), p)
		return export.Model(g, o)
	}
}

func quantised(g *graph.Graph, o export.Options) (*onnxpb.ModelProto, error) {
	m, err := export.Model(g, o)
	if err != nil {
		return nil, err
	}
	_, err = export.QuantiseWeights(m)
	return m, err
}

func writeHalf(ctx context.Context, w *writer) error {
	return w.variants(ctx, halfAbout, withPass(export.HalfPrecision()), withPass(export.RoundedToHalf()))
}

func writeInt8(ctx context.Context, w *writer) error {
	return w.variants(ctx, int8About, quantised, quantised)
}

// variants writes each kind as lower makes it. The errors of what judged makes
// go into its metadata; it must be no more exact than the file is anywhere.
func (w *writer) variants(ctx context.Context, about string, lower, judged lowering) error {
	if w.Runtime == nil {
		return errors.New("want a runtime to measure errors with")
	}
	x, err := w.probes(ctx)
	if err != nil {
		return err
	}
	stage := progress.Begin(w.Progress, "measure errors", int64(len(w.Kinds)), "files")
	defer stage.Done()
	for _, kind := range w.Kinds {
		g, o, err := w.Graph(kind)
		if err != nil {
			return err
		}
		m, err := judged(g, o)
		if err != nil {
			return err
		}
		deviations, err := w.measure(ctx, kind, m, x)
		if err != nil {
			return err
		}
		o.Sizes = w.sizes()
		if m, err = lower(g, o); err != nil {
			return err
		}
		meta := map[string]string{"precision": about}
		for _, d := range deviations {
			meta[d.Output+"_error"] = d.String()
		}
		addMetadata(m, meta)
		if err := w.putModel(kind+".onnx", m); err != nil {
			return err
		}
		w.result.Errors = append(w.result.Errors, deviations...)
		stage.Add(1)
	}
	return nil
}

// addMetadata adds entries and keeps all of them sorted.
func addMetadata(m *onnxpb.ModelProto, more map[string]string) {
	all := maps.Clone(more)
	for _, p := range m.MetadataProps {
		all[p.GetKey()] = p.GetValue()
	}
	m.MetadataProps = nil
	for _, key := range slices.Sorted(maps.Keys(all)) {
		m.MetadataProps = append(m.MetadataProps, &onnxpb.StringStringEntryProto{Key: proto.String(key), Value: proto.String(all[key])})
	}
}

// measure compares a variant with the plain model at the probes.
func (w *writer) measure(ctx context.Context, kind string, m *onnxpb.ModelProto, x *tensor.Tensor) ([]Deviation, error) {
	variant, err := export.Marshal(m)
	if err != nil {
		return nil, err
	}
	plain, err := w.plain(kind)
	if err != nil {
		return nil, err
	}
	in := inputs(kind, x)
	want, err := w.run(ctx, plain, in)
	if err != nil {
		return nil, err
	}
	got, err := w.run(ctx, variant, in)
	if err != nil {
		return nil, err
	}
	var list []Deviation
	for _, name := range []string{"energy", "score", "denoised", "x_next"} {
		if want[name] == nil {
			continue
		}
		d := deviation(got[name].Float64s(), want[name].Float64s())
		if math.IsNaN(d.RMS) || math.IsInf(d.RMS, 0) {
			return nil, fmt.Errorf("%s of the %s variant is not finite", name, kind)
		}
		d.Kind, d.Output = kind, name
		list = append(list, d)
	}
	return list, nil
}

func deviation(got, want []float64) Deviation {
	var d Deviation
	largest, sum, whole := 0.0, 0.0, 0.0
	for i, v := range want {
		diff := got[i] - v
		d.Max = math.Max(d.Max, math.Abs(diff))
		largest = math.Max(largest, math.Abs(v))
		sum += diff * diff
		whole += v * v
	}
	if whole > 0 {
		d.Relative, d.RMS = d.Max/largest, math.Sqrt(sum/whole)
	} else if sum != 0 {
		d.Relative, d.RMS = math.NaN(), math.NaN()
	}
	return d
}

// plain returns the plain model of a kind with a dynamic batch.
func (w *writer) plain(kind string) ([]byte, error) {
	g, o, err := w.Graph(kind)
	if err != nil {
		return nil, err
	}
	return export.Bytes(g, o)
}

func (w *writer) run(ctx context.Context, model []byte, in map[string]*tensor.Tensor) (_ map[string]*tensor.Tensor, err error) {
	s, err := w.Runtime.Load(model, runtime.SessionOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.Run(ctx, in)
}

// inputs returns what a kind takes, at x.
func inputs(kind string, x *tensor.Tensor) map[string]*tensor.Tensor {
	in := map[string]*tensor.Tensor{"x": x}
	if kind == "sampler" {
		const steps = 4
		noise := tensor.New(tensor.Float32, append([]int{steps}, x.Shape()...)...)
		rng.New(0).Normal(tensor.Data[float32](noise), rng.Probe, 1, 1)
		in["noise"], in["temperature"] = noise, tensor.Of([]float32{1, 1, 1, 1}, steps)
		in["step_size"] = tensor.Of([]float32{0.02}, 1)
	}
	return in
}

// Probes are the pictures that errors are measured at: Each that the model
// itself leads to from noise by Jumps denoising jumps, the same with noise of
// level σ₀, and Each of noise alone.
const (
	Each  = 4
	Jumps = 30
)

func (w *writer) probes(ctx context.Context) (*tensor.Tensor, error) {
	shape := w.Network.InputShape()
	size := Each * tensor.Volume(shape)
	normal := func(index uint64) []float32 {
		n := make([]float32, size)
		rng.New(0).Normal(n, rng.Probe, 0, uint32(index))
		return n
	}
	start := tensor.New(tensor.Float32, append([]int{Each}, shape...)...)
	for i, n := range normal(0) {
		tensor.Data[float32](start)[i] = 0.5 + n
	}
	model, err := w.plain("denoise")
	if err != nil {
		return nil, err
	}
	s, err := w.Runtime.Load(model, runtime.SessionOptions{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	stage := progress.Begin(w.Progress, "find pictures to measure at", Jumps, "jumps")
	defer stage.Done()
	x := start
	for range Jumps {
		out, err := s.Run(ctx, map[string]*tensor.Tensor{"x": x})
		if err != nil {
			return nil, err
		}
		x = out["denoised"]
		stage.Add(1)
	}
	all := tensor.New(tensor.Float32, append([]int{3 * Each}, shape...)...)
	data := tensor.Data[float32](all)
	copy(data, tensor.Data[float32](x))
	for i, n := range normal(1) {
		data[size+i] = data[i] + float32(w.Sigma0)*n
	}
	copy(data[2*size:], tensor.Data[float32](start))
	for i, v := range data {
		if v != v || math.Abs(float64(v)) > 1e6 {
			return nil, fmt.Errorf("denoising jumps lead to %g at element %d: the model is not one of pictures in [0, 1]", v, i)
		}
	}
	return all, nil
}
