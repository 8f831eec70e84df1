package verify

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"ebm/models/gradcheck"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// differencesCost is that of checkDifferences, in multiplications.
func (s *session) differencesCost() float64 {
	n, size := s.batch.noisy.Shape()[0], tensor.Volume(s.shape)
	cost := multiplications(needed(s.graph, "energy")) * float64(max(s.fixed, 1))
	directions := s.directions(n, size, cost)
	if directions == 0 {
		directions = size
	}
	return evaluations * float64(directions*n) * cost
}

// evaluations is the number of points of a difference.
const evaluations = 4

// checkDifferences compares the interpreter's score with differences of its
// energy, picture by picture.
func (s *session) checkDifferences(ctx context.Context) error {
	size, n := tensor.Volume(s.shape), s.options.Each*len(s.options.Sigmas)
	cost := multiplications(needed(s.graph, "energy")) * float64(max(s.fixed, 1))
	directions := s.directions(n, size, cost)
	energy := nodes(s.graph, []string{"energy"})[0]
	x := tensor.New(tensor.Float64, append([]int{max(s.fixed, 1)}, s.shape...)...) // one picture and zeros
	f := func(at []float64) (float64, error) {
		copy(tensor.Data[float64](x), at)
		out, err := eval(ctx, s.graph, map[string]*tensor.Tensor{"x": x}, energy)
		if err != nil {
			return 0, err
		}
		s.stage.Add(int64(cost / unit))
		return out[0].Float64s()[0], nil
	}
	pictures, score, value := s.batch.noisy.Float64s(), s.exact["score"], s.exact["energy"]
	reports := make([]gradcheck.Report, n)
	largest := 0.0 // step
	for k := range n {
		gradient := make([]float64, size)
		for l := range gradient {
			gradient[l] = -score[k*size+l]
		}
		d := gradcheck.Directions{Random: directions, Step: s.step(value[k], gradient), Seed: s.options.Seed + uint64(k)}
		largest = math.Max(largest, d.Step)
		var err error
		if reports[k], err = gradcheck.Directional(f, pictures[k*size:(k+1)*size], gradient, d); err != nil {
			return stopped(ctx, err)
		}
	}
	var list []Comparison
	for i, sigma := range s.options.Sigmas {
		list = append(list, summary("score at σ = "+strconv.FormatFloat(sigma, 'g', 3, 64), reports[i*s.options.Each:(i+1)*s.options.Each]))
	}
	s.add(newCheck("score in float64", inInterpreter, along(directions, largest), s.options.DifferenceTolerance, list))
	return nil
}

// step returns the distance of the differences of a function of the given
// value and gradient. It should be small because of the kinks of ELU's second
// derivative, but large enough that the value's rounding errors are a 10⁻⁸th
// of the slope: an untrained network has a slope of 10⁻⁶ of its value.
func (s *session) step(value float64, gradient []float64) float64 {
	const least, most = 1e-6, 1e-3
	if s.options.Step > 0 {
		return s.options.Step
	}
	square := 0.0
	for _, d := range gradient {
		square += d * d
	}
	slope := math.Sqrt(square / float64(len(gradient))) // along a random direction
	h := 1e-15 * math.Abs(value) / (1e-8 * slope)
	if !(h < most) {
		return most
	}
	return math.Max(h, least)
}

// checkLossDifferences compares the interpreter's gradient of the training
// loss with differences of the loss, along random directions of all weights.
// The differences are of the loss without the part that does not depend on the
// weights, which would drown an untrained network's in rounding errors.
//
// Each evaluation costs so many multiplications.
func (s *session) checkLossDifferences(ctx context.Context, loss *graph.Graph, directions int, cost float64) error {
	in := s.lossInputs()
	var at, gradient []float64
	for _, p := range s.net.Parameters() {
		at = append(at, in[p.Name].Float64s()...)
		gradient = append(gradient, s.loss.gradients[p.Name]...)
		in[p.Name] = tensor.New(tensor.Float64, p.Shape...)
	}
	part := nodes(loss, []string{"part"})[0]
	step := s.step(s.loss.part, gradient)
	s.trained, s.loss = nil, nil // this is the last check, and large networks' gradients take gigabytes
	r, err := gradcheck.Directional(func(w []float64) (float64, error) {
		for _, p := range s.net.Parameters() {
			w = w[copy(tensor.Data[float64](in[p.Name]), w):]
		}
		v, err := eval(ctx, loss, in, part)
		if err != nil {
			return 0, err
		}
		s.stage.Add(int64(cost / unit))
		return v[0].Float64s()[0], nil
	}, at, gradient, gradcheck.Directions{Random: directions, Step: step, Seed: s.options.Seed})
	if err != nil {
		return stopped(ctx, err)
	}
	s.add(newCheck("training gradient in float64", inInterpreter, along(directions, step), s.options.LossTolerance,
		[]Comparison{summary("loss by all weights", []gradcheck.Report{r})}))
	return nil
}

// lossDirections returns along how many random directions the loss, which
// costs so many multiplications, is differenced.
func (s *session) lossDirections(cost float64) int {
	weights := 0
	for _, p := range s.net.Parameters() {
		weights += tensor.Volume(p.Shape)
	}
	return max(s.directions(1, weights, cost), 1)
}

func along(directions int, step float64) string {
	if directions == 0 {
		return fmt.Sprintf("%s, step up to %.0e, along all axes", differences, step)
	}
	return fmt.Sprintf("%s, step up to %.0e, along %d random directions each", differences, step, directions)
}

// summary joins reports of derivatives along directions.
func summary(tensor string, reports []gradcheck.Report) Comparison {
	c := Comparison{Tensor: tensor}
	worst, largest := 0.0, 0.0
	for _, r := range reports {
		c.Elements += r.Probed
		worst, largest = math.Max(worst, r.MaxError), math.Max(largest, r.Largest)
		c.MeanError += Number(r.MeanError) * Number(r.Probed)
	}
	c.MeanError /= Number(max(c.Elements, 1))
	c.MaxError, c.Largest = Number(worst), Number(largest)
	c.relate(largest)
	return c
}

// stopped returns ctx's error where that is what ended a comparison.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return ctx.Err()
	}
	return err
}
