// Command writer writes what parity.py judges: every kind of file that a model
// is exported as, together with the inputs that ONNX Runtime ran it on here
// and the outputs that it gave.
//
//	go run ./cmd/internal/parity/writer DIR
//
// For each kind of package ebm it writes DIR/KIND.onnx and DIR/KIND.npz, the
// latter with arrays in/NAME and out/NAME, and DIR/model.safetensors. The model
// is a small Res12 on 16×16 pictures with large random weights; its training
// step averages weights. DIR/points/mixture.onnx is the energy of points on a plane,
// and DIR/steps has training steps of models of other programs. It is run in the
// project's folder, which has these.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"ebm"
	"ebm/export"
	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/models/weights"
	"ebm/runtime"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: writer DIR")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1], filepath.Join("mdsm", "train", "testdata")); err != nil {
		fmt.Fprintln(os.Stderr, "writer:", err)
		os.Exit(1)
	}
}

// run writes everything; models are those of other programs.
func run(ctx context.Context, dir, models string) (err error) {
	rt, err := runtime.Open(ctx, runtime.Config{Provider: runtime.CPU})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rt.Close()) }()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	net := energy.ResNet{Net: "res12", Channels: 1, Dim: 4, Size: 16}
	m := &ebm.Model{Name: "parity", Network: net, Weights: larger(energy.Init(net, rng.New(1))), Meta: ebm.PaperMeta()}
	if err := weights.Save(filepath.Join(dir, "model.safetensors"), m.Set()); err != nil {
		return err
	}
	mixture, err := energy.Toy("mixture", 2)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "points"), 0o777); err != nil {
		return err
	}
	if err := export.WriteFile(filepath.Join(dir, "points", "mixture.onnx"), mdsm.EnergyGraph(energy.Known{Density: mixture}, nil),
		export.Options{}); err != nil {
		return err
	}
	for _, k := range ebm.Kinds() {
		if err := write(ctx, rt, m, k, dir); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
	}
	return steps(ctx, rt, models, filepath.Join(dir, "steps"))
}

// larger enlarges initial weights until scores are as large as trained ones
// are, so that a step of the sampler depends on them.
func larger(w energy.Weights) energy.Weights {
	for _, t := range w {
		for i := range tensor.Data[float32](t) {
			tensor.Data[float32](t)[i] *= 1.75
		}
	}
	return w
}

// write writes one kind's two files.
func write(ctx context.Context, rt *runtime.Runtime, m *ebm.Model, k ebm.Kind, dir string) (err error) {
	path := filepath.Join(dir, string(k))
	if k == ebm.TrainKind {
		adam := mdsm.PaperAdam()
		adam.EMA = 0.999
		err = export.WriteFile(path+".onnx", mdsm.TrainGraph(m.Network, m.Objective(), adam), m.ExportOptions(k, 0))
	} else {
		err = m.WriteONNX(path+".onnx", k, 0)
	}
	if err != nil {
		return err
	}
	return ran(ctx, rt, path, m.Weights, nil)
}

// ran runs path.onnx on a batch, weights and what is drawn for other inputs, and
// writes path.npz.
func ran(ctx context.Context, rt *runtime.Runtime, path string, w energy.Weights, batch map[string]*tensor.Tensor) (err error) {
	session, err := rt.LoadFile(path+".onnx", runtime.SessionOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	inputs, err := draw(session.Inputs(), w, batch)
	if err != nil {
		return err
	}
	outputs, err := session.Run(ctx, inputs)
	if err != nil {
		return err
	}
	arrays := make(map[string]*tensor.Tensor)
	for name, t := range inputs {
		arrays["in/"+name] = t
	}
	for name, t := range outputs {
		arrays["out/"+name] = t
	}
	return atomicfile.Write(path+".npz", func(w io.Writer) error {
		return npz.Write(w, arrays, npz.Deflate)
	})
}
