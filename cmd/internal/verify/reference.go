package verify

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"ebm/internal/npz"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// Reference holds golden tensors: what another program says of an energy. N
// is the number of pictures.
type Reference struct {
	X      *tensor.Tensor // [N …], float32
	Energy *tensor.Tensor // [N]
	Score  *tensor.Tensor // −∇E(X), of X's shape

	// The training loss, eq. (7), at X + Sigma·Noise and its derivatives by
	// parameters, under their names. All are nil where the file has none.
	Noise     *tensor.Tensor // [N …]
	Sigma     *tensor.Tensor // [N]
	Loss      *tensor.Tensor // one element
	Gradients *weights.Set

	Sigma0 float64 // σ₀ of the loss, 0 where the file does not say
	MadeBy string  // the program and its version, "" where the file does not say
	File   File
}

// Pictures returns N.
func (r *Reference) Pictures() int { return r.X.Shape()[0] }

// String names the file and what made it.
func (r *Reference) String() string {
	if r.MadeBy == "" {
		return r.File.Name
	}
	return fmt.Sprintf("%s, made by %s", r.File.Name, r.MadeBy)
}

// gradientPrefix is what the names of derivatives by parameters begin with.
const gradientPrefix = "grad/"

const (
	// maxMadeBy bounds the text that names the program.
	maxMadeBy = 200
	// maxPictures bounds the time that a comparison can take.
	maxPictures = 1024
)

// referenceArrays are the names that a file of golden tensors may have beside
// grad/PARAMETER, for messages.
const referenceArrays = "x, energy, score, noise, sigma, loss, sigma0, made_by and grad/PARAMETER"

// ReadReference reads golden tensors from a .npz file with the arrays
//
//	x [N …], energy [N], score of x's shape
//	noise of x's shape, sigma [N], loss, grad/PARAMETER …   all or none
//	sigma0, made_by (uint8, text)                           if wanted
//
// Wrappers' prefixes before all parameters' names are removed. The error
// names the array that is missing, unknown, of another shape or type than is
// wanted, or has values that are no finite numbers.
func ReadReference(path string) (*Reference, error) {
	file, err := HashFile("reference", path)
	if err != nil {
		return nil, err
	}
	a, err := npz.Open(path)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	r, err := readReference(a)
	if err != nil {
		return nil, fmt.Errorf("reference %s: %w", path, err)
	}
	r.File = file
	return r, nil
}

func readReference(a *npz.Archive) (*Reference, error) {
	headers := make(map[string]npz.Header)
	for _, name := range a.Names() {
		h, err := a.Header(name)
		if err != nil {
			return nil, err
		}
		headers[name] = h
	}
	if err := checkHeaders(headers); err != nil {
		return nil, err
	}
	r := &Reference{Gradients: new(weights.Set)}
	for _, name := range a.Names() {
		t, err := a.Read(name)
		if err != nil {
			return nil, err
		}
		if err := r.set(name, t); err != nil {
			return nil, err
		}
	}
	var err error
	r.Gradients, err = r.Gradients.Unwrapped()
	return r, err
}

// checkHeaders holds all shapes against x's before any element is read.
func checkHeaders(headers map[string]npz.Header) error {
	for _, name := range []string{"x", "energy", "score"} {
		if _, ok := headers[name]; !ok {
			return fmt.Errorf("array %q is missing, want x, energy and score", name)
		}
	}
	x := headers["x"].Shape
	if len(x) < 2 || slices.Contains(x, 0) {
		return fmt.Errorf("x is %v%v, want pictures [N C H W], one or more", headers["x"].DType, x)
	}
	if x[0] > maxPictures {
		return fmt.Errorf("x is %v%v, want at most %d pictures", headers["x"].DType, x, maxPictures)
	}
	one, each := []int{}, x[:1]
	wanted := map[string][][]int{
		"x": {x}, "score": {x}, "noise": {x}, "energy": {each, {x[0], 1}}, "sigma": {each},
		"loss": {one, {1}}, "sigma0": {one, {1}},
	}
	training := 0
	for name, h := range headers {
		shapes, known := wanted[name]
		parameter, gradient := strings.CutPrefix(name, gradientPrefix)
		switch {
		case name == "made_by":
			if h.DType != tensor.Uint8 || len(h.Shape) != 1 || h.Shape[0] > maxMadeBy {
				return fmt.Errorf("made_by is %v%v, want at most %d bytes of text as uint8", h.DType, h.Shape, maxMadeBy)
			}
			continue
		case gradient && parameter != "":
		case !known:
			return fmt.Errorf("array %.80q is not known, want %s", name, referenceArrays)
		case !slices.ContainsFunc(shapes, func(s []int) bool { return slices.Equal(s, h.Shape) }):
			return fmt.Errorf("%s is %v%v, want %v as x is %v", name, h.DType, h.Shape, shapes[0], x)
		}
		if !h.DType.IsFloat() {
			return fmt.Errorf("%.80s is %v%v, want floating-point numbers", name, h.DType, h.Shape)
		}
		if gradient || name == "noise" || name == "sigma" || name == "loss" {
			training++
		}
	}
	if training == 0 {
		return nil
	}
	for _, name := range []string{"noise", "sigma", "loss"} {
		if _, ok := headers[name]; !ok {
			return fmt.Errorf("array %q is missing, want noise, sigma, loss and grad/PARAMETER together, or none of them", name)
		}
	}
	if training == 3 {
		return fmt.Errorf("no array %sPARAMETER, want noise, sigma, loss and gradients together, or none of them", gradientPrefix)
	}
	return nil
}

// set puts an array in its place.
func (r *Reference) set(name string, t *tensor.Tensor) error {
	if name == "made_by" {
		text := string(tensor.Data[uint8](t))
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
			return fmt.Errorf("made_by is %.40q, want printable text", text)
		}
		r.MadeBy = text
		return nil
	}
	values := t.Float64s()
	if i := slices.IndexFunc(values, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }); i >= 0 {
		return fmt.Errorf("element %d of %.80s is %g, want finite numbers", i, name, values[i])
	}
	if parameter, ok := strings.CutPrefix(name, gradientPrefix); ok {
		return r.Gradients.Add(parameter, t)
	}
	n := t.Len()
	switch name {
	case "energy":
		r.Energy = t.Reshape(n)
	case "score":
		r.Score = t
	case "loss":
		r.Loss = t.Reshape(1)
	case "sigma0":
		if r.Sigma0 = values[0]; !(r.Sigma0 > 0) {
			return fmt.Errorf("sigma0 is %g, want a positive number", r.Sigma0)
		}
	case "sigma":
		if i := slices.IndexFunc(values, func(v float64) bool { return !(v > 0) }); i >= 0 {
			return fmt.Errorf("element %d of sigma is %g, want positive numbers", i, values[i])
		}
		fallthrough
	default:
		single, err := inFloat32(name, t)
		if err != nil {
			return err
		}
		switch name {
		case "x":
			r.X = single
		case "noise":
			r.Noise = single
		case "sigma":
			r.Sigma = single
		}
	}
	return nil
}

// inFloat32 returns an input in float32, so that all sides see the same
// numbers: those of float64 arrays must be numbers of float32.
func inFloat32(name string, t *tensor.Tensor) (*tensor.Tensor, error) {
	if t.DType() == tensor.Float64 {
		for i, v := range tensor.Data[float64](t) {
			if float64(float32(v)) != v {
				return nil, fmt.Errorf("element %d of %s is %v, which float32 cannot hold, want inputs of type float32", i, name, v)
			}
		}
	}
	return t.AsFloat32(), nil
}
