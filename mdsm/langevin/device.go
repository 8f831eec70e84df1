package langevin

import (
	"context"
	"errors"
	"maps"

	"ebm/export/session"
	"ebm/mdsm"
	"ebm/models/tensor"
	"ebm/runtime"
)

// resident is a batch of chains whose x, and memory, stay on a device. What a step takes of
// the host is its number and size, or its noise where the model does not draw that.
type resident struct {
	*session.Resident
	models *session.Models
	sigma0 float64
	state  state // as it was at the start
	steps  *session.Bound
	jumps  *session.Bound // nil until the first

	noise                      *session.Noise
	stepSize, temperature, row *tensor.Tensor
	energy                     *tensor.Tensor // before the last step, on the device
	clean, cleanEnergy         *tensor.Tensor // of the last jump
}

// place moves chains to the device.
func place(models *session.Models, at state, sigma0 float64, noise *session.Noise) (_ *resident, err error) {
	n := at.x.Shape()[0]
	r := &resident{
		models: models, sigma0: sigma0, state: at, noise: noise, stepSize: tensor.New(tensor.Float32, 1),
		temperature: tensor.New(tensor.Float32, 1), row: tensor.New(tensor.Float32, 1, mdsm.Coefficients),
		energy: tensor.New(tensor.Float32, 1, n), clean: tensor.New(tensor.Float32, at.x.Shape()...), cleanEnergy: tensor.New(tensor.Float32, n),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	moving, first := map[string]*tensor.Tensor{"x": at.x}, append([]*tensor.Tensor{at.x}, noise.Once...)
	if at.memory != nil {
		moving["memory"] = at.memory
		if at.hidden == nil { // the model of chains with a memory wants a mask
			r.state.hidden = tensor.New(tensor.Float32, at.x.Shape()...)
			values := tensor.Data[float32](r.state.hidden)
			for i := range values {
				values[i] = 1
			}
		}
		first = append(first, at.memory)
	}
	if r.state.hidden != nil {
		first = append(first, r.state.hidden)
	}
	if r.Resident, err = models.Place(moving, append(first, r.energy)...); err != nil {
		return nil, err
	}
	if err := r.Upload(first...); err != nil {
		return nil, err
	}
	return r, r.bind(n)
}

// bind ties the model of a step to the chains.
func (r *resident) bind(n int) error {
	name, in := "sampler", map[string]*tensor.Tensor{"step_size": r.stepSize, "temperature": r.temperature}
	switch {
	case r.state.memory != nil:
		name, in = "updates", map[string]*tensor.Tensor{"updates": r.row, "hidden": r.state.hidden}
	case r.state.hidden != nil:
		name, in["hidden"] = "inpaint", r.state.hidden
	}
	maps.Copy(in, r.noise.In)
	step, err := r.models.Session(name, n, r.noise.Counted, runtime.SessionOptions{Replay: true})
	if err == nil {
		r.steps = r.Bind(step, in, map[string]*tensor.Tensor{"energy": r.energy})
	}
	return err
}

// step makes step at, an update.
func (r *resident) step(ctx context.Context, at int, u mdsm.Update) error {
	r.noise.Step(at)
	tensor.Data[float32](r.stepSize)[0], tensor.Data[float32](r.temperature)[0] = float32(u.StepSize), float32(u.Temperature)
	copy(tensor.Data[float32](r.row), u.Row(r.sigma0))
	return r.steps.Run(ctx)
}

// energies returns those before the last step [N].
func (r *resident) energies() ([]float32, error) {
	return tensor.Data[float32](r.energy), r.Download(r.energy)
}

// fetch brings the chains to the host.
func (r *resident) fetch() (at state, err error) {
	if at.x, err = r.Fetch("x"); err == nil && r.state.memory != nil {
		at.memory, err = r.Fetch("memory")
	}
	return at, err
}

// jump makes the denoising jump of the chains, which stay where they are. masked says
// that given pixels are kept.
func (r *resident) jump(ctx context.Context, masked bool) (clean, energy *tensor.Tensor, err error) {
	if r.jumps == nil {
		name, in := "denoise", map[string]*tensor.Tensor{}
		if masked {
			name, in["hidden"] = "denoise_hidden", r.state.hidden
		}
		denoise, err := r.models.Session(name, r.clean.Shape()[0], false, runtime.SessionOptions{})
		if err != nil {
			return nil, nil, err
		}
		r.jumps = r.Bind(denoise, in, map[string]*tensor.Tensor{"denoised": r.clean, "energy": r.cleanEnergy})
	}
	if err := r.jumps.Run(ctx); err != nil {
		return nil, nil, err
	}
	return r.clean.Clone(), r.cleanEnergy.Clone(), nil
}
