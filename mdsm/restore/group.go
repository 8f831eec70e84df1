package restore

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"ebm/export/session"
	"ebm/mdsm"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/parallel"
	"ebm/runtime/progress"
)

// looksEvery is the number of updates after which chains are seen to be finite.
const looksEvery = 50

// group is a group of chains on its way, in the host or on a device.
type group struct {
	*run
	first, used int
	x, memory   *tensor.Tensor
	measured    *tensor.Tensor
	draws       session.Draws
	in          map[string]*tensor.Tensor // what updates take besides: noise, updates, parts

	on     *session.Resident // where x and memory are, nil for the host
	noise  *session.Noise    // of a device
	step   *session.Bound
	energy *tensor.Tensor // before the last update, on the device
}

// chains runs chains through all updates.
func (r *run) chains(ctx context.Context, first, used int, stage progress.Stage) (*tensor.Tensor, error) {
	x, measured := r.start(first, used)
	g := &group{run: r, first: first, used: used, x: x, memory: r.layout.New(), measured: measured}
	g.draws = session.Draws{Source: r.source, Purpose: rng.SampleNoise, Shape: x.Shape(), First: uint64(first), Hi: used,
		Steps: len(r.updates)}
	// Bounds the noise to 16 MB.
	most := min(max((1<<22)/(r.layout.Size*r.layout.Each()), 1), looksEvery)
	if r.device != nil {
		most = 1
		defer func() { g.on.Close() }()
		if err := g.place(); err != nil {
			return nil, err
		}
	}
	for done := 0; done < len(r.updates); {
		n := min(most, len(r.updates)-done)
		if err := g.move(ctx, done, n); err != nil {
			return nil, err
		}
		done += n
		stage.Add(int64(used) * int64(n))
	}
	if g.on != nil {
		var err error
		if g.x, err = g.on.Fetch("x"); err != nil {
			return nil, err
		}
	}
	return g.x.Rows(0, used), g.check(g.x, len(r.updates))
}

// place moves the chains to the device.
func (g *group) place() (err error) {
	g.energy, g.noise = tensor.New(tensor.Float32, 1, g.layout.Size), g.device.Noise(g.draws, noiseInput())
	g.on, err = g.device.Place(map[string]*tensor.Tensor{"x": g.x, "memory": g.memory},
		append(g.noise.Once, g.measured, g.energy)...)
	if err != nil {
		return err
	}
	model, err := g.device.Session("restore", g.layout.Size, g.noise.Counted, runtime.SessionOptions{})
	if err != nil {
		return err
	}
	g.in = g.inputs(1)
	all := maps.Clone(g.in)
	all["measured"] = g.measured
	maps.Copy(all, g.noise.In)
	g.step = g.on.Bind(model, all, map[string]*tensor.Tensor{"energy": g.energy})
	return g.on.Upload(append(g.noise.Once, g.x, g.memory, g.measured)...)
}

// move makes n updates after done.
func (g *group) move(ctx context.Context, done, n int) error {
	if g.in == nil || g.in["updates"].Shape()[0] != n {
		g.in = g.inputs(n)
	}
	g.fill(done, n)
	if g.on == nil {
		in := map[string]*tensor.Tensor{"x": g.x, "memory": g.memory, "measured": g.measured}
		maps.Copy(in, g.in)
		out, err := g.session.Run(ctx, in)
		if err != nil {
			return err
		}
		g.x, g.memory = out["x_next"], out["memory_next"]
		return g.check(g.x, done+n)
	}
	if err := g.step.Run(ctx); err != nil || (done+1)%looksEvery != 0 {
		return err
	}
	return errors.Join(g.on.Download(g.energy), g.check(g.energy, done+1))
}

// check reports a chain whose numbers [Size …] are not all finite.
func (g *group) check(of *tensor.Tensor, done int) error {
	each := of.Len() / g.layout.Size
	if bad := parallel.NotFinite(tensor.Data[float32](of)[:g.used*each]); bad >= 0 {
		return fmt.Errorf("sample %d is not finite after %d updates; try a smaller step size", g.first+bad/each, done)
	}
	return nil
}

// inputs are what n updates take besides where chains are.
func (g *group) inputs(n int) map[string]*tensor.Tensor {
	in := map[string]*tensor.Tensor{
		"updates": tensor.New(tensor.Float32, n, mdsm.Coefficients),
		"parts":   tensor.New(tensor.Float32, n, parts, g.op.Rank()),
	}
	if g.on == nil {
		in["noise"] = tensor.New(tensor.Float32, append([]int{n}, g.draws.Shape...)...)
	}
	return in
}

// fill sets the inputs of n updates after done.
func (g *group) fill(done, n int) {
	if g.on != nil {
		g.noise.Step(done)
	} else {
		for k := range n {
			g.draws.Normal(tensor.Data[float32](g.in["noise"])[k*g.x.Len():], done+k)
		}
	}
	copy(tensor.Data[float32](g.in["updates"]), g.rows[done*mdsm.Coefficients:])
	copy(tensor.Data[float32](g.in["parts"]), g.parts[done*parts*g.op.Rank():])
}
