package features

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"ebm/internal/files"
	"ebm/models/graph"
	"ebm/models/inception"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/parallel"
)

// InputRange says which values a feature network takes for black and white.
type InputRange string

// The ranges.
const (
	RangeUnit     InputRange = "0..1"
	RangeSigned   InputRange = "-1..1"
	RangeByte     InputRange = "0..255"
	RangeImageNet InputRange = "imagenet" // 0…1, less the mean and over the deviation of ImageNet's colours, as torchvision's networks take it
	RangeCLIP     InputRange = "clip"     // the same with those of CLIP's pictures
)

// InputRanges returns the names of all ranges.
func InputRanges() []InputRange {
	return []InputRange{RangeUnit, RangeSigned, RangeByte, RangeImageNet, RangeCLIP}
}

// ONNXOptions say how an ONNX file makes features.
type ONNXOptions struct {
	Path       string
	Hash       string               // SHA-256 of the file, for the features' maker
	Output     string               // the output that holds the features; "" means the only one
	Logits     string               // the output that holds logits; "" for none
	Range      InputRange           // "" means RangeUnit
	Convention inception.Convention // how pictures are resized; "" means inception.PyTorchFID
	Cut        Cut                  // of pictures that are no squares
	Recipe     string               // the name of the recipe that these options are by, "" for none
	Size       int                  // height and width where the file leaves them open; 0 means those of the pictures
	Channels   int                  // of the pictures, 1 or 3
	Height     int                  // 0 and 0 for pictures of mixed sizes
	Width      int
	Batch      int // pictures at once on each thread; 0 means 8, or what the file fixes
}

// ONNXFile takes an ONNX file as the network. The options' picture and the
// file's hash are filled in.
func ONNXFile(o ONNXOptions) (*Network, error) {
	hash, _, err := files.Hash(o.Path)
	if err != nil {
		return nil, fmt.Errorf("feature network: %w", err)
	}
	// Weights beside the file, as large models keep them, are part of it.
	if beside, _, err := files.Hash(o.Path + ".data"); err == nil {
		sum := sha256.Sum256([]byte(hash + beside))
		hash = hex.EncodeToString(sum[:])
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("feature network: %w", err)
	}
	o.Hash = hash
	return &Network{
		Identity: Identity{Kind: ONNX, Recipe: o.Recipe}, File: o.Path, FileHash: hash,
		open: func(rt *runtime.Runtime, channels, height, width int) (*Extractor, error) {
			o := o
			o.Channels, o.Height, o.Width = channels, height, width
			return NewONNX(rt, o)
		},
	}, nil
}

// NewONNX loads an ONNX file with one input, floats [N C H W] with C of 1 or
// 3, as a feature network. Pictures are brought to its size and range; grey
// ones become colour where it takes that, the other way is an error. The caller
// closes it.
func NewONNX(rt *runtime.Runtime, o ONNXOptions) (*Extractor, error) {
	if o.Convention == "" {
		o.Convention = inception.PyTorchFID
	}
	if o.Range == "" {
		o.Range = RangeUnit
	}
	e, err := newExtractor(rt, []int{o.Channels, o.Height, o.Width}, o.Batch)
	if err != nil {
		return nil, err
	}
	if e.session, err = rt.LoadFile(o.Path, runtime.SessionOptions{Threads: parallel.Threads(rt.Info())}); err != nil {
		return nil, err
	}
	if err := e.openONNX(rt, o); err != nil {
		return nil, errors.Join(fmt.Errorf("feature network %s: %w", o.Path, err), e.session.Close())
	}
	return e, nil
}

// openONNX reads what the file takes and gives, and loads the way there.
func (e *Extractor) openONNX(rt *runtime.Runtime, o ONNXOptions) error {
	in, err := pictureInput(e.session)
	if err != nil {
		return err
	}
	out, err := chosenOutput(e.session, o.Output, "--features-output")
	if err != nil {
		return err
	}
	if o.Logits != "" {
		if _, err := chosenOutput(e.session, o.Logits, "--logits-output"); err != nil {
			return err
		}
	}
	if n := in.Shape[0]; n > 0 {
		e.layout.Size, e.fixed = n, true
	}
	shape := []int{in.Shape[1], in.Shape[2], in.Shape[3]}
	for i, side := range []int{1, 2} {
		if shape[side] > 0 {
			continue
		}
		shape[side] = o.Size
		if o.Size == 0 {
			shape[side] = []int{o.Height, o.Width}[i]
		}
	}
	mixed := o.Height == 0 && o.Width == 0
	if mixed && min(shape[1], shape[2]) == 0 {
		return errors.New("its input has no size of its own and the pictures have several, want one (--features-size)")
	}
	way := func(height, width int) (*graph.Graph, error) {
		o := o
		o.Height, o.Width = height, width
		return o.graph(in.DType, shape)
	}
	g, err := way(max(o.Height, 1), max(o.Width, 1)) // what cannot be is an error now
	if err != nil {
		return err
	}
	if mixed {
		e.ways = newWays(rt, way)
	} else if e.prepare, err = load(rt, g); err != nil {
		return err
	}
	e.input, e.output = in.Name, outputs{features: out.Name, logits: o.Logits}
	e.maker = Maker{
		Network: Identity{Kind: ONNX, Recipe: o.Recipe}, Weights: o.Hash, Preprocess: o.preprocess(), Range: string(o.Range),
		Input: fmt.Sprint(shape), Output: out.Name, Logits: o.Logits,
	}
	if len(out.Shape) > 1 && out.Shape[1] > 0 {
		e.maker.Features = out.Shape[1]
	}
	return nil
}

// preprocess names how pictures become squares of the network's size.
func (o ONNXOptions) preprocess() string {
	if o.Cut == CutNone {
		return string(o.Convention)
	}
	return string(o.Convention) + ", cut " + string(o.Cut)
}

// pictureInput returns the file's only input, which must take pictures.
func pictureInput(s *runtime.Session) (runtime.ValueInfo, error) {
	ins := s.Inputs()
	if len(ins) != 1 {
		return runtime.ValueInfo{}, fmt.Errorf("%d inputs, want one of pictures", len(ins))
	}
	in := ins[0]
	if !in.DType.IsFloat() || len(in.Shape) != 4 || in.Shape[1] != 1 && in.Shape[1] != 3 {
		return in, fmt.Errorf("its input %s is %v, want floats [N C H W] with 1 or 3 channels", in.Name, in)
	}
	return in, nil
}

// chosenOutput returns the output called name, or the only one.
func chosenOutput(s *runtime.Session, name, flag string) (runtime.ValueInfo, error) {
	outs := s.Outputs()
	var names []string
	for _, out := range outs {
		if out.Name == name || name == "" && len(outs) == 1 {
			if !out.DType.IsFloat() {
				return out, fmt.Errorf("its output %s is %v, want floats", out.Name, out)
			}
			return out, nil
		}
		names = append(names, out.Name+" "+out.String())
	}
	if name == "" {
		return runtime.ValueInfo{}, fmt.Errorf("it has the outputs %s: choose one with %s", strings.Join(names, ", "), flag)
	}
	return runtime.ValueInfo{}, fmt.Errorf("no output %q, it has %s", name, strings.Join(names, ", "))
}

// graph returns the way from pictures x of uint8 to y, what the network takes:
// [N shape…] of the given type.
func (o ONNXOptions) graph(dtype tensor.DType, shape []int) (*graph.Graph, error) {
	if !slices.Contains(InputRanges(), o.Range) {
		return nil, fmt.Errorf("range %q, want one of %v", o.Range, InputRanges())
	}
	if o.Channels == 3 && shape[0] == 1 {
		return nil, errors.New("it takes grey pictures, and these are in colour")
	}
	if dtype != tensor.Float32 && dtype != tensor.Float16 && dtype != tensor.Float64 {
		return nil, fmt.Errorf("its input is of %v, want float32, float16 or float64", dtype)
	}
	g := graph.New("pictures")
	x := graph.Cast(g.Input("x", tensor.Uint8, graph.Batch(o.Channels, o.Height, o.Width)), tensor.Float32)
	y, err := shaped(x, o.Convention, o.Cut, shape[1], shape[2])
	if err != nil {
		return nil, err
	}
	err = graph.Catch(func() {
		if o.Channels < shape[0] {
			y = graph.Concat(1, y, y, y)
		}
		switch o.Range {
		case RangeUnit:
			y = graph.Scale(y, 1.0/255)
		case RangeSigned:
			y = graph.Shift(graph.Scale(y, 2.0/255), -1)
		case RangeImageNet:
			y = perChannel(graph.Scale(y, 1.0/255), []float32{0.485, 0.456, 0.406}, []float32{0.229, 0.224, 0.225})
		case RangeCLIP:
			y = perChannel(graph.Scale(y, 1.0/255), []float32{0.48145466, 0.4578275, 0.40821073},
				[]float32{0.26862954, 0.26130258, 0.27577711})
		}
		if dtype != tensor.Float32 {
			y = graph.Cast(y, dtype)
		}
		g.Output("y", y)
	})
	return g, err
}

// perChannel takes a mean colour away and divides by the deviations; one
// channel takes the means of the three.
func perChannel(y *graph.Node, mean, deviation []float32) *graph.Node {
	if channels, _ := y.Shape()[1].Constant(); channels == 1 {
		average := func(v []float32) []float32 { return []float32{(v[0] + v[1] + v[2]) / 3} }
		mean, deviation = average(mean), average(deviation)
	}
	shift, scale := make([]float32, len(mean)), make([]float32, len(mean))
	for c := range mean {
		shift[c], scale[c] = -mean[c], 1/deviation[c]
	}
	along := func(v []float32) *graph.Node {
		return graph.BroadcastAlong(y.Graph().Constant(tensor.Of(v, len(v))), y.Shape(), 1)
	}
	return graph.Mul(graph.Add(y, along(shift)), along(scale))
}
