package restore

import (
	"fmt"
	"math"
	"slices"

	"ebm/models/rng"
	"ebm/models/tensor"
)

// Frame is the pictures [C H W] of a model and what of them is its padding, Pad
// rows and columns on each side, which no operator measures.
type Frame struct {
	Shape []int
	Pad   int
}

// Check reports a frame that holds no picture.
func (f Frame) Check() error {
	if len(f.Shape) != 3 || f.Pad < 0 || 2*f.Pad >= min(f.Shape[1], f.Shape[2]) {
		return fmt.Errorf("x of shape %v with padding %d, want pictures [C H W]", f.Shape, f.Pad)
	}
	return nil
}

// Size returns the channels, rows and columns inside the padding.
func (f Frame) Size() (channels, height, width int) {
	return f.Shape[0], f.Shape[1] - 2*f.Pad, f.Shape[2] - 2*f.Pad
}

// at returns the place of a pixel inside the padding among the values of x.
func (f Frame) at(channel, row, column int) int {
	return (channel*f.Shape[1]+row+f.Pad)*f.Shape[2] + column + f.Pad
}

// each calls do for every pixel inside the padding.
func (f Frame) each(do func(channel, row, column int)) {
	c, h, w := f.Size()
	for channel := range c {
		for row := range h {
			for column := range w {
				do(channel, row, column)
			}
		}
	}
}

// Inpaint measures the pixels that a mask [1 C H W] does not hide.
func (f Frame) Inpaint(hidden *tensor.Tensor) (*Operator, error) {
	if hidden.DType() != tensor.Float32 || !slices.Equal(hidden.Shape(), append([]int{1}, f.Shape...)) {
		return nil, fmt.Errorf("the mask is %v, want float32 of shape 1 and %v", hidden, f.Shape)
	}
	var rows []Row
	for i, h := range tensor.Data[float32](hidden) {
		if h == 0 {
			rows = append(rows, Row{i: 1})
		}
	}
	return fromRows("inpaint", rows, f.Shape)
}

// Missing measures a share of the pixels, chosen at random by the seed, in all
// channels.
func (f Frame) Missing(kept float64, seed uint64) (*Operator, error) {
	c, h, w := f.Size()
	n, err := share(kept, h*w)
	if err != nil {
		return nil, err
	}
	chosen := rng.New(seed).Permutation(h*w, rng.Mask, 0)[:n]
	slices.Sort(chosen)
	var rows []Row
	for channel := range c {
		for _, i := range chosen {
			rows = append(rows, Row{f.at(channel, i/w, i%w): 1})
		}
	}
	return fromRows("missing", rows, f.Shape)
}

func share(kept float64, of int) (int, error) {
	if !(kept > 0 && kept <= 1) {
		return 0, fmt.Errorf("a share of %g, want a number above 0 and up to 1", kept)
	}
	return max(int(math.Round(kept*float64(of))), 1), nil
}

// Compressed measures random projections, a share of the number of values inside
// the padding, whose rows are orthonormal.
func (f Frame) Compressed(kept float64, seed uint64) (*Operator, error) {
	c, h, w := f.Size()
	n, err := share(kept, c*h*w)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, n)
	numbers := make([]float32, c*h*w)
	for i := range rows {
		rng.New(seed).Normal(numbers, rng.Mask, uint64(i), 1)
		rows[i] = make(Row, len(numbers))
		k := 0
		f.each(func(channel, row, column int) {
			rows[i][f.at(channel, row, column)] = float64(numbers[k]) / math.Sqrt(float64(len(numbers)))
			k++
		})
	}
	a, err := fromRows("compressed", rows, f.Shape)
	if err != nil {
		return nil, err
	}
	// What a Gaussian matrix spans is as random with orthonormal rows, and keeps the
	// noise of all measurements alike.
	for j := range a.Singular {
		a.Singular[j] = 1
	}
	return a, nil
}

// Grey measures the luminance of ITU-R BT.601, as Pillow's, of pictures with three
// channels.
func (f Frame) Grey() (*Operator, error) {
	if c, _, _ := f.Size(); c != 3 {
		return nil, fmt.Errorf("pictures of %d channels, want 3 to take their colours away", c)
	}
	var rows []Row
	f.each(func(channel, row, column int) {
		if channel == 0 {
			rows = append(rows, Row{f.at(0, row, column): 0.299, f.at(1, row, column): 0.587, f.at(2, row, column): 0.114})
		}
	})
	return fromRows("grey", rows, f.Shape)
}

// Filter names how pictures are made smaller.
type Filter string

// The filters.
const (
	Box     Filter = "box"     // the mean of factor × factor pixels
	Bicubic Filter = "bicubic" // Keys' cubic with a = −0.5, widened by the factor, as Pillow's
)

// Filters returns all filters.
func Filters() []Filter { return []Filter{Box, Bicubic} }

// Smaller measures pictures that are smaller by a factor, which must divide
// their sides.
func (f Frame) Smaller(factor int, by Filter) (*Operator, error) {
	c, h, w := f.Size()
	if factor < 2 || h%factor != 0 || w%factor != 0 {
		return nil, fmt.Errorf("a factor of %d for pictures of %d×%d, want one from 2 that divides both", factor, h, w)
	}
	if !slices.Contains(Filters(), by) {
		return nil, fmt.Errorf("filter %q, want one of %v", by, Filters())
	}
	down, across := smaller(h, factor, by), smaller(w, factor, by)
	return f.separable(fmt.Sprintf("superres ×%d %s", factor, by), c, down, across)
}

// separable returns the operator of weights [rows][H] along the columns of every
// channel and [columns][W] along its rows.
func (f Frame) separable(name string, channels int, down, across [][]float64) (*Operator, error) {
	var rows []Row
	for channel := range channels {
		for _, along := range down {
			for _, over := range across {
				r := make(Row)
				for i, a := range along {
					for j, b := range over {
						if a*b != 0 {
							r[f.at(channel, i, j)] = a * b
						}
					}
				}
				rows = append(rows, r)
			}
		}
	}
	return fromRows(name, rows, f.Shape)
}

// smaller returns the weights [n/factor][n] of a filter along one axis.
func smaller(n, factor int, by Filter) [][]float64 {
	kernel, support := box, 0.5
	if by == Bicubic {
		kernel, support = cubic, 2
	}
	return resampling(n, n/factor, kernel, support*float64(factor), float64(factor))
}

// Larger returns measured pictures of Smaller, y of one picture, in the size of the
// model's pictures, by the bicubic filter: what a restoration is compared with. The
// padding is 0.
func (f Frame) Larger(y []float64, factor int) []float64 {
	c, h, w := f.Size()
	small := len(y) / c
	down, across := resampling(h/factor, h, cubic, 2, 1), resampling(w/factor, w, cubic, 2, 1)
	out := make([]float64, tensor.Volume(f.Shape))
	f.each(func(channel, row, column int) {
		sum := 0.0
		for i, a := range down[row] {
			for j, b := range across[column] {
				sum += a * b * y[channel*small+i*(w/factor)+j]
			}
		}
		out[f.at(channel, row, column)] = sum
	})
	return out
}

// resampling returns the weights [to][from] of a kernel that is 0 beyond support,
// in pixels of from, and stretched by scale: those of each row add up to 1.
func resampling(from, to int, kernel func(float64) float64, support, scale float64) [][]float64 {
	weights := make([][]float64, to)
	for i := range weights {
		centre := (float64(i) + 0.5) * float64(from) / float64(to)
		weights[i] = make([]float64, from)
		sum := 0.0
		for j := range from {
			at := float64(j) + 0.5 - centre
			if math.Abs(at) < support {
				weights[i][j] = kernel(at / scale)
				sum += weights[i][j]
			}
		}
		for j := range weights[i] {
			weights[i][j] /= sum
		}
	}
	return weights
}

func box(x float64) float64 {
	if x >= -0.5 && x < 0.5 {
		return 1
	}
	return 0
}

// cubic is the kernel of Keys, "Cubic convolution interpolation for digital image
// processing" (1981), with a = −0.5.
func cubic(x float64) float64 {
	const a = -0.5
	switch x = math.Abs(x); {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return a * (((x-5)*x+8)*x - 4)
	}
	return 0
}

// Blur measures the convolution with a kernel [K L] of odd sides, whose numbers
// should add up to 1. Pictures go on beyond their edges as their last pixels.
func (f Frame) Blur(kernel [][]float64) (*Operator, error) {
	k := len(kernel)
	if k == 0 || k%2 == 0 || len(kernel[0])%2 == 0 {
		return nil, fmt.Errorf("a kernel of %d rows, want an odd number of rows and columns", k)
	}
	l := len(kernel[0])
	_, h, w := f.Size()
	var rows []Row
	f.each(func(channel, row, column int) {
		r := make(Row)
		for i := range kernel {
			for j, v := range kernel[i] {
				y, x := min(max(row+k/2-i, 0), h-1), min(max(column+l/2-j, 0), w-1)
				if v != 0 {
					r[f.at(channel, y, x)] += v
				}
			}
		}
		rows = append(rows, r)
	})
	return fromRows("deblur", rows, f.Shape)
}

// Kernel returns that of an array of floats [K L] with odd sides, as it is.
func Kernel(name string, k *tensor.Tensor) ([][]float64, error) {
	if k.Rank() != 2 || !k.DType().IsFloat() || k.Shape()[0]%2 == 0 || k.Shape()[1]%2 == 0 {
		return nil, fmt.Errorf("%s is %v, want floats of shape K and L, both odd", name, k)
	}
	var kernel [][]float64
	for row := range slices.Chunk(k.Float64s(), k.Shape()[1]) {
		if slices.ContainsFunc(row, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
			return nil, fmt.Errorf("%s has the row %v, want finite numbers", name, row)
		}
		kernel = append(kernel, row)
	}
	return kernel, nil
}

// Gaussian returns the kernel of a normal distribution, cut at three standard
// deviations.
func Gaussian(sigma float64) ([][]float64, error) {
	if !(sigma > 0 && sigma <= 64) {
		return nil, fmt.Errorf("a blur of %g pixels, want a number above 0 and up to 64", sigma)
	}
	half := int(math.Ceil(3 * sigma))
	line := make([]float64, 2*half+1)
	for i := range line {
		d := float64(i-half) / sigma
		line[i] = math.Exp(-d * d / 2)
	}
	kernel := make([][]float64, len(line))
	for i, a := range line {
		kernel[i] = make([]float64, len(line))
		for j, b := range line {
			kernel[i][j] = a * b
		}
	}
	return normalised(kernel), nil
}

// Motion returns the kernel of a straight movement over a number of pixels at an
// angle in degrees from the horizontal, by 16 positions a pixel.
func Motion(length, degrees float64) ([][]float64, error) {
	if !(length > 0 && length <= 64) || math.IsNaN(degrees) || math.IsInf(degrees, 0) {
		return nil, fmt.Errorf("a movement of %g pixels at %g degrees, want a length above 0 and up to 64", length, degrees)
	}
	half := int(math.Ceil(length / 2))
	kernel := make([][]float64, 2*half+1)
	for i := range kernel {
		kernel[i] = make([]float64, 2*half+1)
	}
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	steps := int(math.Ceil(16 * length))
	for i := range steps {
		t := (float64(i)+0.5)/float64(steps)*length - length/2
		y, x := float64(half)-t*sin, float64(half)+t*cos
		kernel[int(math.Round(y))][int(math.Round(x))]++
	}
	return normalised(kernel), nil
}

func normalised(kernel [][]float64) [][]float64 {
	sum := 0.0
	for _, row := range kernel {
		for _, v := range row {
			sum += v
		}
	}
	for _, row := range kernel {
		for j := range row {
			row[j] /= sum
		}
	}
	return kernel
}
