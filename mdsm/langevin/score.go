package langevin

import (
	"context"
	"fmt"
	"math"
	"slices"

	"ebm/mdsm"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/parallel"
)

// scorer is the stepper around a model of the score: eqs. (8) and (9) in Go.
type scorer struct {
	session *runtime.Session
	sigma0  float64
}

func loadScore(rt *runtime.Runtime, m Files, o runtime.SessionOptions) (Stepper, runtime.ValueInfo, error) {
	s, x, err := parallel.Load(rt, m.Score, o, []string{"x"}, []string{"score"})
	if err != nil {
		return nil, x, fmt.Errorf("score: %w", err)
	}
	return &scorer{s, m.Sigma0}, x, nil
}

// score returns the score of x, of its shape, and the energies, if there are.
func (s *scorer) score(ctx context.Context, x *tensor.Tensor) (score []float32, energy *tensor.Tensor, err error) {
	out, err := s.session.Run(ctx, map[string]*tensor.Tensor{"x": x})
	if err != nil {
		return nil, nil, err
	}
	t, n := out["score"], x.Shape()[0]
	if t.DType() != tensor.Float32 || !slices.Equal(t.Shape(), x.Shape()) {
		return nil, nil, fmt.Errorf("the score of %v is %v, want the same type and shape", x, t)
	}
	if e := out["energy"]; e != nil {
		if e.DType() != tensor.Float32 || e.Len() != n {
			return nil, nil, fmt.Errorf("the energy of %v is %v, want float32[%d]", x, e, n)
		}
		energy = e.Reshape(n)
	}
	return tensor.Data[float32](t), energy, nil
}

func (s *scorer) Steps(ctx context.Context, at state, noise *tensor.Tensor, updates []mdsm.Update) (state, *tensor.Tensor, error) {
	if at.hidden != nil {
		return at, nil, errNoInpaint
	}
	at.x = at.x.Clone()
	if at.memory != nil {
		at.memory = at.memory.Clone()
	}
	values, n := tensor.Data[float32](at.x), at.x.Shape()[0]
	energies := make([]float32, 0, len(updates)*n)
	for k, u := range updates {
		score, e, err := s.score(ctx, at.x)
		if err != nil {
			return at, nil, err
		}
		if e != nil {
			energies = append(energies, tensor.Data[float32](e)...)
		}
		kicks := tensor.Data[float32](noise)[k*len(values) : (k+1)*len(values)]
		if at.memory == nil {
			step(values, score, kicks, float32(u.StepSize), float32(u.Temperature))
			continue
		}
		row, memory, each := u.Row(s.sigma0), tensor.Data[float32](at.memory), len(values)/n
		for lo := 0; lo < len(values); lo += each {
			hi := lo + each
			remember(values[lo:hi], memory[lo:hi], score[lo:hi], kicks[lo:hi], row)
		}
	}
	if len(energies) == 0 {
		return at, nil, nil
	}
	return at, tensor.Of(energies, len(updates), n), nil
}

// remember is one update of a chain with a memory, see mdsm.Update.
func remember(x, memory, score, noise, row []float32) {
	squares := float32(0)
	for _, s := range score {
		squares += float32(s * s)
	}
	r := float32(math.Sqrt(float64(squares / float32(len(score)))))
	if r < row[7] {
		return
	}
	for i, s := range score {
		n, m := noise[i], memory[i]
		x[i] = x[i] + float32(row[0]*s) + float32(row[1]*n) + float32(row[2]*m) + float32(float32(row[3]*r)*n)
		memory[i] = float32(row[4]*s) + float32(row[5]*m) + float32(row[6]*n)
	}
}

// step is eq. (8) in float32, rounded after every operation as in the exported
// sampler (a conversion keeps the compiler from fusing a product and a sum).
func step(x, score, noise []float32, stepSize, temperature float32) {
	drift := stepSize * stepSize * 0.5
	kick := stepSize * float32(math.Sqrt(float64(temperature)))
	for i := range x {
		x[i] = x[i] + float32(drift*score[i]) + float32(kick*noise[i])
	}
}

func (s *scorer) Denoise(ctx context.Context, x, hidden *tensor.Tensor) (*tensor.Tensor, *tensor.Tensor, error) {
	if hidden != nil {
		return nil, nil, errNoInpaint
	}
	if !(s.sigma0 > 0) {
		return nil, nil, errNoDenoise
	}
	score, energy, err := s.score(ctx, x)
	if err != nil {
		return nil, nil, err
	}
	return Jump(x, score, s.sigma0), energy, nil
}

// Jump returns x + σ₀²·score, the jump of eq. (9), in float32 and rounded as in
// step.
func Jump(x *tensor.Tensor, score []float32, sigma0 float64) *tensor.Tensor {
	clean := x.Clone()
	values, variance := tensor.Data[float32](clean), float32(sigma0*sigma0)
	for i := range values {
		values[i] += float32(variance * score[i])
	}
	return clean
}

func (s *scorer) Close() error { return s.session.Close() }
