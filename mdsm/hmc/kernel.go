package hmc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/parallel"
)

// Kernel makes transitions. It may be used from several goroutines at once.
type Kernel struct {
	state, trajectory *runtime.Session
	info              runtime.Info
	shape             []int
	fixed             int // the batch that the models are fixed to, 0 for none
	hash              string
}

// Load loads the models. They must take float32 x with a shape that is fixed
// but for the batch.
func Load(rt *runtime.Runtime, m Files) (_ *Kernel, err error) {
	k := &Kernel{info: rt.Info(), hash: m.Hash()}
	defer func() {
		if err != nil {
			k.Close()
		}
	}()
	o := runtime.SessionOptions{Threads: parallel.Threads(k.info)}
	var x, first runtime.ValueInfo
	if k.state, first, err = parallel.Load(rt, m.State, o, []string{"x"}, []string{"energy", "score", "reference"}); err != nil {
		return nil, fmt.Errorf("model of the state: %w", err)
	}
	inputs := []string{"x", "energy", "score", "momentum", "uniform", "step_size", "energy_weight", "reference_weight"}
	outputs := []string{"x_next", "energy_next", "score_next", "reference_next", "change", "probability"}
	if k.trajectory, x, err = parallel.Load(rt, m.Trajectory, o, inputs, outputs); err != nil {
		return nil, fmt.Errorf("model of the trajectory: %w", err)
	}
	if !slices.Equal(x.Shape, first.Shape) {
		return nil, fmt.Errorf("the trajectory's x is %v, that of the state %v", x, first)
	}
	if k.shape, err = parallel.Shape(x, nil); err != nil {
		return nil, err
	}
	k.fixed = max(x.Shape[0], 0)
	return k, nil
}

// Close frees the models.
func (k *Kernel) Close() error {
	var errs []error
	for _, s := range []*runtime.Session{k.state, k.trajectory} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// Layout says how chains are cut into groups, see parallel.NewLayout.
func (k *Kernel) Layout(batch int) parallel.Layout {
	return parallel.NewLayout(k.info, k.shape, k.fixed, batch)
}

// Shape returns the shape of one x.
func (k *Kernel) Shape() []int { return slices.Clone(k.shape) }

// Hash returns the SHA-256 of the files, in hexadecimal.
func (k *Kernel) Hash() string { return k.hash }

// Engine says what computes, such as "onnxruntime 1.28.2 cpu".
func (k *Kernel) Engine() string {
	return k.info.Engine()
}

// State is a group of chains: x [N …] with E(x) and E_ref(x) [N], in nats, and
// the score −∇E(x) [N …].
type State struct{ X, Energy, Reference, Score *tensor.Tensor }

// Start returns the state of x.
func (k *Kernel) Start(ctx context.Context, x *tensor.Tensor) (State, error) {
	out, err := k.state.Run(ctx, map[string]*tensor.Tensor{"x": x})
	if err != nil {
		return State{}, err
	}
	return State{x, out["energy"], out["reference"], out["score"]}, nil
}

// Potential has the weights of U(x) = Energy·E(x) + Reference·E_ref(x).
type Potential struct{ Energy, Reference float64 }

// Outcome says what became of a group's trajectories, [N] each.
type Outcome struct {
	Change      []float32 // of the Hamiltonian; may be infinite or not a number
	Probability []float32 // with which the end is taken
}

// Move makes one transition of every chain of a group.
func (k *Kernel) Move(ctx context.Context, s State, u Potential, n *Numbers) (State, Outcome, error) {
	one := func(v float64) *tensor.Tensor { return tensor.Of([]float32{float32(v)}, 1) }
	out, err := k.trajectory.Run(ctx, map[string]*tensor.Tensor{
		"x": s.X, "energy": s.Energy, "score": s.Score,
		"momentum": n.momentum, "uniform": n.uniform, "step_size": n.stepSize,
		"energy_weight": one(u.Energy), "reference_weight": one(u.Reference),
	})
	if err != nil {
		return State{}, Outcome{}, err
	}
	return State{out["x_next"], out["energy_next"], out["reference_next"], out["score_next"]},
		Outcome{tensor.Data[float32](out["change"]), tensor.Data[float32](out["probability"])}, nil
}
