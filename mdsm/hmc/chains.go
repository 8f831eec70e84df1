package hmc

import (
	"context"
	"errors"
	"maps"

	"ebm/export/session"
	"ebm/models/tensor"
)

// State is a group of chains: x [N …] with E(x) and E_ref(x) [N], in nats, and
// the score −∇E(x) [N …].
type State struct{ X, Energy, Reference, Score *tensor.Tensor }

// Potential has the weights of U(x) = Energy·E(x) + Reference·E_ref(x).
type Potential struct{ Energy, Reference float64 }

// Outcome says what became of a group's trajectories, [N] each, until the next.
type Outcome struct {
	Change      []float32 // of the Hamiltonian; may be infinite or not a number
	Probability []float32 // with which the end is taken
}

// Chains are a group of chains on its way. Their state stays in the memory of the device that
// computes: "x", "energy", "reference" and "score" are the names of its parts. Turn takes the
// last transition back.
type Chains struct {
	*session.Resident
	move                *session.Bound
	energy, reference   *tensor.Tensor // the potential's weights
	change, probability *tensor.Tensor
}

// Start begins chains at x, which is theirs from then on, with the numbers that each
// transition takes.
func (k *Kernel) Start(ctx context.Context, x *tensor.Tensor, n *Numbers) (_ *Chains, err error) {
	size := x.Shape()[0]
	s := State{x, tensor.New(tensor.Float32, size), tensor.New(tensor.Float32, size), tensor.New(tensor.Float32, x.Shape()...)}
	c, err := k.place(s, n)
	if err != nil {
		return nil, err
	}
	first := c.Bind(k.state, nil, map[string]*tensor.Tensor{"energy": s.Energy, "reference": s.Reference, "score": s.Score})
	if err = c.Upload(append(n.momentum.Once, x)...); err == nil {
		err = first.Run(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Resume is Start with a state that chains were in.
func (k *Kernel) Resume(s State, n *Numbers) (*Chains, error) {
	c, err := k.place(s, n)
	if err != nil {
		return nil, err
	}
	if err := c.Upload(append(n.momentum.Once, s.X, s.Energy, s.Reference, s.Score)...); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// place ties the model of a transition to a state.
func (k *Kernel) place(s State, n *Numbers) (*Chains, error) {
	size := s.X.Shape()[0]
	trajectory, err := k.transition(size, n.momentum.Counted)
	if err != nil {
		return nil, err
	}
	one := func(n int) *tensor.Tensor { return tensor.New(tensor.Float32, n) }
	c := &Chains{energy: one(1), reference: one(1), change: one(size), probability: one(size)}
	state := map[string]*tensor.Tensor{"x": s.X, "energy": s.Energy, "reference": s.Reference, "score": s.Score}
	if c.Resident, err = session.Place(k.rt, state, n.momentum.Once...); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	in := map[string]*tensor.Tensor{
		"uniform": n.uniform, "step_size": n.stepSize, "energy_weight": c.energy, "reference_weight": c.reference,
	}
	maps.Copy(in, n.momentum.In)
	c.move = c.Bind(trajectory, in, map[string]*tensor.Tensor{"change": c.change, "probability": c.probability})
	return c, nil
}

// Move makes one transition of every chain.
func (c *Chains) Move(ctx context.Context, u Potential) (Outcome, error) {
	tensor.Data[float32](c.energy)[0], tensor.Data[float32](c.reference)[0] = float32(u.Energy), float32(u.Reference)
	if err := c.move.Run(ctx); err != nil {
		return Outcome{}, err
	}
	return Outcome{tensor.Data[float32](c.change), tensor.Data[float32](c.probability)}, nil
}

// State brings the chains to the host, in tensors that transitions write anew.
func (c *Chains) State() (s State, err error) {
	for name, t := range map[string]**tensor.Tensor{"x": &s.X, "energy": &s.Energy, "reference": &s.Reference, "score": &s.Score} {
		if *t, err = c.Fetch(name); err != nil {
			return s, err
		}
	}
	return s, nil
}
