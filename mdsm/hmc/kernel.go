package hmc

import (
	"errors"
	"fmt"
	"slices"

	"ebm/export/session"
	"ebm/runtime"
	"ebm/runtime/parallel"
)

// Kernel makes transitions. It may be used from several goroutines at once.
type Kernel struct {
	rt         *runtime.Runtime
	state      *runtime.Session
	trajectory *runtime.Session // nil with device
	device     *session.Models  // trajectories of chains that stay on a device, nil where they do not
	info       runtime.Info
	shape      []int
	fixed      int // the batch that the models are fixed to, 0 for none
	hash       string
}

// Load loads the models. They must take float32 x with a shape that is fixed
// but for the batch.
func Load(rt *runtime.Runtime, m Files) (_ *Kernel, err error) {
	k := &Kernel{rt: rt, info: rt.Info(), hash: m.Hash()}
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
	if m.Fixed != nil && k.info.Provider != runtime.CPU && !k.info.Precision.Half() {
		k.device = session.NewModels(rt, m.Fixed)
		k.shape, err = parallel.Shape(first, nil)
		return k, err
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
	errs := []error{k.device.Close()}
	for _, s := range []*runtime.Session{k.state, k.trajectory} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// transition returns the model of a transition of so many chains, which draws the momenta
// itself where they are counted.
func (k *Kernel) transition(size int, counted bool) (*runtime.Session, error) {
	if k.device == nil {
		return k.trajectory, nil
	}
	return k.device.Session("trajectory", size, counted, runtime.SessionOptions{})
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
