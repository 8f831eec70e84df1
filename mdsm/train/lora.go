package train

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ebm/export/onnximport"
	"ebm/internal/atomicfile"
	"ebm/internal/files"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// LoRA trains low-rank changes of matrices (Hu et al., ICLR 2022) and leaves all
// else as it is: W is W + (α/r)·B·A, with A [r inputs] and B [outputs r].
type LoRA struct {
	Rank  int     // r
	Alpha float64 // α
}

// ParseLoRA reads a setting such as rank=8,alpha=16; alpha is rank unless it is said.
func ParseLoRA(text string) (LoRA, error) {
	var l LoRA
	wrong := &SettingError{"model.lora", text, "rank=NUMBER,alpha=NUMBER, both positive, such as rank=8,alpha=16"}
	for _, part := range strings.Split(text, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		var err error
		switch key {
		case "rank":
			l.Rank, err = strconv.Atoi(value)
		case "alpha":
			l.Alpha, err = strconv.ParseFloat(value, 64)
			if err == nil && !(l.Alpha > 0 && l.Alpha <= math.MaxFloat32) {
				err = wrong
			}
		default:
			err = wrong
		}
		if err != nil {
			return l, wrong
		}
	}
	if l.Rank < 1 {
		return l, wrong
	}
	if l.Alpha == 0 {
		l.Alpha = float64(l.Rank)
	}
	return l, nil
}

// Files of an adapter's folder, as peft has them.
const (
	AdapterFile       = "adapter_model.safetensors"
	AdapterConfigFile = "adapter_config.json"
)

// adapter is the change of one initialiser.
type adapter struct {
	name    string // of the initialiser
	outputs int    // the axis of W's outputs
	base    *tensor.Tensor
	rank    int
	scale   float64 // α/r
}

// module is the name that PyTorch gives what has the weight.
func (a adapter) module() string { return strings.TrimSuffix(a.name, ".weight") }

// a and b are the names of A and B in peft's files.
func (a adapter) a() string { return peftPrefix + a.module() + ".lora_A.weight" }
func (a adapter) b() string { return peftPrefix + a.module() + ".lora_B.weight" }

const peftPrefix = "base_model.model."

// sizes are the numbers of outputs and inputs.
func (a adapter) sizes() (outputs, inputs int) {
	s := a.base.Shape()
	return s[a.outputs], s[1-a.outputs]
}

// shapes are those of A and B: with as many axes of one element behind them as W has.
func (a adapter) shapes() (shapeA, shapeB []int) {
	outputs, inputs := a.sizes()
	ones := slices.Repeat([]int{1}, a.base.Rank()-2)
	return append([]int{a.rank, inputs}, ones...), append([]int{outputs, a.rank}, ones...)
}

// changed adds W + (α/r)·B·A.
func (a adapter) changed(low, high *graph.Node) *graph.Node {
	outputs, inputs := a.sizes()
	matrix := func(n *graph.Node, rows, columns int) *graph.Node { return graph.Reshape(n, graph.Dims(rows, columns)) }
	change := graph.MatMul(matrix(high, outputs, a.rank), matrix(low, a.rank, inputs))
	if a.outputs == 1 {
		change = graph.SwapLast(change)
	}
	w := low.Graph().Constant(a.base)
	return graph.Add(w, graph.Scale(graph.Reshape(change, w.Shape()), a.scale))
}

// merged returns W + (α/r)·B·A, computed in float64.
func (a adapter) merged(low, high *tensor.Tensor) *tensor.Tensor {
	outputs, inputs := a.sizes()
	av, bv, w := low.Float64s(), high.Float64s(), a.base.Float64s()
	out := make([]float32, len(w))
	for o := range outputs {
		for i := range inputs {
			sum := 0.0
			for k := range a.rank {
				sum += bv[o*a.rank+k] * av[k*inputs+i]
			}
			at := o*inputs + i
			if a.outputs == 1 {
				at = i*outputs + o
			}
			out[at] = float32(w[at] + a.scale*sum)
		}
	}
	return tensor.Of(out, a.base.Shape()...)
}

// Adapted returns a function whose parameters, initialisers of a model, are constants
// that low-rank changes are added to: the parameters are A and B of each, under
// peft's names. An initialiser with another use than to multiply by it is an error.
func (f Function) Adapted(m *onnximport.Model, l LoRA) (Function, error) {
	list := make([]adapter, len(f.Parameters))
	for i, name := range f.Parameters {
		outputs, ok := m.Multiplies(name)
		if !ok {
			return Function{}, fmt.Errorf("initialiser %q, want one that is a matrix of MatMul or Gemm or a 1×1 convolution alone", name)
		}
		list[i] = adapter{name: name, outputs: outputs, base: m.Initial[name].AsFloat32(), rank: l.Rank, scale: l.Alpha / float64(l.Rank)}
	}
	out, err := f.changed(list)
	out.lora = l
	return out, err
}

// changed returns a function of which some parameters are constants with changes.
func (f Function) changed(list []adapter) (Function, error) {
	out := Function{States: f.States, adapters: list}
	for _, a := range list {
		out.Parameters = append(out.Parameters, a.a(), a.b())
	}
	for _, name := range f.Parameters {
		if !slices.ContainsFunc(list, func(a adapter) bool { return a.name == name }) {
			out.Parameters = append(out.Parameters, name)
		}
	}
	return out, graph.Catch(func() { out.Graph = f.withChanges(list) })
}

// initialisers are those of the model that a function's parameters are, or change.
func (f Function) initialisers() []string {
	if len(f.adapters) == 0 {
		return f.Parameters
	}
	var names []string
	for _, a := range f.adapters {
		names = append(names, a.name)
	}
	return names
}

// withChanges returns the graph of a function of which some parameters are changed
// constants.
func (f Function) withChanges(list []adapter) *graph.Graph {
	g := graph.New(f.Graph.Name())
	var args []*graph.Node
	for _, in := range f.Graph.Inputs() {
		name := in.InputName()
		at := slices.IndexFunc(list, func(a adapter) bool { return a.name == name })
		if at < 0 {
			args = append(args, g.Input(name, in.DType(), in.Shape()))
			continue
		}
		a := list[at]
		shapeA, shapeB := a.shapes()
		low, high := g.Input(a.a(), tensor.Float32, graph.Dims(shapeA...)), g.Input(a.b(), tensor.Float32, graph.Dims(shapeB...))
		args = append(args, a.changed(low, high))
	}
	results := graph.Call(f.Graph, args...)
	for i, o := range f.Graph.Outputs() {
		g.Output(o.Name, results[i])
	}
	return g
}

// drawAdapters sets A and B of every adapter as peft draws them: A uniform up to
// 1/√inputs on both sides, B zeros.
func (f Function) drawAdapters(values map[string]*tensor.Tensor) {
	for i, a := range f.adapters {
		shapeA, shapeB := a.shapes()
		low := tensor.New(tensor.Float32, shapeA...)
		_, inputs := a.sizes()
		rng.New(f.Seed).Uniform(tensor.Data[float32](low), rng.Init, uint64(i), 0)
		for k, u := range tensor.Data[float32](low) {
			tensor.Data[float32](low)[k] = (2*u - 1) / float32(math.Sqrt(float64(inputs)))
		}
		values[a.a()], values[a.b()] = low, tensor.New(tensor.Float32, shapeB...)
	}
}

// Merged returns values of a function's parameters and states as those of the
// model's initialisers: low-rank changes are added to what they change.
func (f Function) Merged(values map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	out := maps.Clone(values)
	for _, a := range f.adapters {
		out[a.name] = a.merged(values[a.a()], values[a.b()])
		delete(out, a.a())
		delete(out, a.b())
	}
	return out
}

// adapterConfig is what adapter_config.json says.
type adapterConfig struct {
	Type         string             `json:"peft_type"`
	Task         *string            `json:"task_type"`
	Base         string             `json:"base_model_name_or_path"`
	Rank         int                `json:"r"`
	Alpha        float64            `json:"lora_alpha"`
	Targets      targets            `json:"target_modules"`
	Dropout      float64            `json:"lora_dropout"`
	Bias         string             `json:"bias"`
	InFirst      bool               `json:"fan_in_fan_out"`
	Inference    bool               `json:"inference_mode"`
	RSLoRA       bool               `json:"use_rslora"`
	DoRA         bool               `json:"use_dora"`
	RankPattern  map[string]int     `json:"rank_pattern"`
	AlphaPattern map[string]float64 `json:"alpha_pattern"`
}

// targets are names, or a pattern that peft takes in their place.
type targets []string

// UnmarshalJSON reads either.
func (t *targets) UnmarshalJSON(b []byte) error {
	var list []string
	if json.Unmarshal(b, &list) != nil {
		list = nil
	}
	*t = list
	return nil
}

// WriteAdapter writes the adapters of a function as a folder that peft reads:
// adapter_model.safetensors and adapter_config.json. base names the model.
func (f Function) WriteAdapter(dir, base string, values map[string]*tensor.Tensor) error {
	c := adapterConfig{Type: "LORA", Base: base, Rank: f.lora.Rank, Alpha: f.lora.Alpha, Bias: "none", Inference: true,
		RankPattern: map[string]int{}, AlphaPattern: map[string]float64{}}
	set := &weights.Set{Metadata: map[string]string{"format": "pt"}}
	for _, a := range f.adapters {
		c.Targets = append(c.Targets, a.module())
		c.InFirst = c.InFirst || a.outputs == 1 && strings.HasSuffix(a.name, ".weight")
		for _, name := range []string{a.a(), a.b()} {
			if err := set.Add(name, values[name]); err != nil {
				return err
			}
		}
	}
	return atomicfile.Dir(dir, func(dir string) error {
		if err := weights.Save(filepath.Join(dir, AdapterFile), set); err != nil {
			return err
		}
		return atomicfile.WriteJSON(filepath.Join(dir, AdapterConfigFile), c)
	})
}

// readAdapter reads an adapter's folder: r, α/r and the tensors.
func readAdapter(dir string) (rank int, scale float64, tensors map[string]*tensor.Tensor, err error) {
	path := filepath.Join(dir, AdapterConfigFile)
	c, err := files.Parse(path, files.JSON[adapterConfig])
	if err != nil {
		return 0, 0, nil, err
	}
	if c.Type != "LORA" || c.Rank <= 0 || c.DoRA || len(c.RankPattern)+len(c.AlphaPattern) > 0 || c.Bias != "none" && c.Bias != "" {
		return 0, 0, nil, fmt.Errorf("%s: peft_type %q, r %d, bias %q, want LORA of one rank and alpha, without biases and DoRA",
			path, c.Type, c.Rank, c.Bias)
	}
	if scale = c.Alpha / float64(c.Rank); c.RSLoRA {
		scale = c.Alpha / math.Sqrt(float64(c.Rank))
	}
	set, err := weights.Load(filepath.Join(dir, AdapterFile))
	if err != nil {
		return 0, 0, nil, err
	}
	return c.Rank, scale, set.Tensors(), nil
}

// MergeAdapter returns the values of the initialisers that an adapter's folder, of
// WriteAdapter or peft, changes in the ONNX file at path.
func MergeAdapter(path, dir string) (map[string]*tensor.Tensor, error) {
	rank, scale, tensors, err := readAdapter(dir)
	if err != nil {
		return nil, err
	}
	o := onnximport.Options{InUse: true}
	o.Free = func(name string) bool { return tensors[adapter{name: name}.a()] != nil }
	m, err := onnximport.Read(path, o)
	if err != nil {
		return nil, err
	}
	values := make(map[string]*tensor.Tensor)
	for name, base := range m.Initial {
		a := adapter{name: name, rank: rank, scale: scale, base: base.AsFloat32()}
		low, high := tensors[a.a()], tensors[a.b()]
		var ok bool
		if a.outputs, ok = m.Multiplies(name); !ok || high == nil {
			return nil, fmt.Errorf("%s: %s, want A and B of a matrix of MatMul or Gemm or of a 1×1 convolution of %s", dir, a.module(), path)
		}
		shapeA, shapeB := a.shapes()
		if !slices.Equal(low.Shape(), shapeA) || !slices.Equal(high.Shape(), shapeB) {
			return nil, fmt.Errorf("%s: %s has A %v and B %v, want %v and %v", dir, a.module(), low.Shape(), high.Shape(), shapeA, shapeB)
		}
		values[name] = a.merged(low, high)
	}
	if left := len(tensors) - 2*len(values); left > 0 || len(values) == 0 {
		return nil, fmt.Errorf("%s: %d of %d tensors change no initialiser of %s, want names such as %s", dir, left, len(tensors), path,
			adapter{name: m.Parameters[0]}.a())
	}
	return values, nil
}
