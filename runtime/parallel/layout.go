package parallel

import (
	"fmt"
	"math"
	"slices"

	"ebm/models/tensor"
	"ebm/runtime"
)

// Layout says how chains are cut into groups.
type Layout struct {
	Shape   []int // of one x
	Size    int   // chains in a group
	Workers int   // groups that are computed at once
}

// NewLayout returns the layout for x of a shape. fixed is the batch that the
// model is fixed to, 0 for none. batch, when it is not 0, bounds the chains that
// are computed at once; on a device it is the size of a group, 128 when it is 0.
func NewLayout(info runtime.Info, shape []int, fixed, batch int) Layout {
	// On each device one group prepares its noise while the other computes.
	l := Layout{Shape: slices.Clone(shape), Workers: 2 * max(len(info.Devices), 1)}
	onCPU := info.Provider == runtime.CPU
	switch {
	case fixed > 0:
		l.Size = fixed
	case onCPU:
		// So many that the cost of calling a kernel does not show, and no more,
		// since the last group is padded. Larger ones were not faster.
		l.Size = min(max(4096/max(tensor.Volume(shape), 1), 8), 256)
	case batch > 0:
		l.Size = batch
	default:
		l.Size = 128
	}
	if onCPU {
		l.Workers = max(info.Threads, 1)
		if batch > 0 {
			l.Workers = min(l.Workers, (batch+l.Size-1)/l.Size)
		}
	}
	return l
}

// Each returns the number of values of one x.
func (l Layout) Each() int { return tensor.Volume(l.Shape) }

// New returns zeros [Size …] for the points of a group.
func (l Layout) New() *tensor.Tensor {
	return tensor.New(tensor.Float32, append([]int{l.Size}, l.Shape...)...)
}

// Threads returns the threads that a session should have for the layout: one
// for each group on the CPU.
func Threads(info runtime.Info) int {
	if info.Provider == runtime.CPU {
		return 1
	}
	return 0
}

// Load loads a model that has exactly these inputs, and these outputs among
// others, and describes its x, which must be float32 with a batch and at least
// one more axis.
func Load(rt *runtime.Runtime, model []byte, o runtime.SessionOptions, inputs,
	outputs []string) (_ *runtime.Session, x runtime.ValueInfo, err error) {
	s, err := rt.Load(model, o)
	if err != nil {
		return nil, x, err
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if count(s.Inputs(), inputs) != len(inputs) || len(s.Inputs()) != len(inputs) {
		return nil, x, fmt.Errorf("its inputs are %v, want %v", s.Inputs(), inputs)
	}
	if count(s.Outputs(), outputs) != len(outputs) {
		return nil, x, fmt.Errorf("its outputs are %v, want %v among them", s.Outputs(), outputs)
	}
	x = s.Inputs()[slices.IndexFunc(s.Inputs(), func(v runtime.ValueInfo) bool { return v.Name == "x" })]
	if x.DType != tensor.Float32 || len(x.Shape) < 2 {
		return nil, x, fmt.Errorf("its x is %v, want float32 with a batch and at least one more axis", x)
	}
	return s, x, nil
}

// count returns how many of the values have one of the names.
func count(values []runtime.ValueInfo, names []string) int {
	n := 0
	for _, v := range values {
		if slices.Contains(names, v.Name) {
			n++
		}
	}
	return n
}

// Shape returns the shape of one x, where the model or wanted, nil for any, has
// it.
func Shape(x runtime.ValueInfo, wanted []int) ([]int, error) {
	shape := slices.Clone(x.Shape[1:])
	if wanted == nil {
		wanted = shape
	}
	if len(wanted) != len(shape) {
		return nil, fmt.Errorf("the model's x is %v, which %v does not fit", x, wanted)
	}
	for i, d := range wanted {
		if shape[i] < 0 {
			shape[i] = d
		}
		if shape[i] != d {
			return nil, fmt.Errorf("the model's x is %v, which %v does not fit", x, wanted)
		}
		if d < 1 {
			return nil, fmt.Errorf("the model's x is %v: all but its batch must be fixed, or given", x)
		}
	}
	return shape, nil
}

// NotFinite returns the index of the first value that is infinite or not a
// number, or −1.
func NotFinite(values []float32) int {
	return slices.IndexFunc(values, func(v float32) bool { return math.Float32bits(v)&0x7f800000 == 0x7f800000 })
}
