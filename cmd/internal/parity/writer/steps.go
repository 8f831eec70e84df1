package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"ebm/export"
	"ebm/export/onnximport"
	"ebm/internal/npz"
	"ebm/mdsm"
	"ebm/mdsm/train"
	"ebm/models/tensor"
	"ebm/runtime"
)

// steps writes training steps of models that PyTorch exported, which are in the
// folder models: networks of four kinds, and low-rank changes of a fifth.
func steps(ctx context.Context, rt *runtime.Runtime, models, dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, s := range []struct {
		name, path, arrays string
		loss               train.LossName
		lora               string
		optimiser          mdsm.Optimiser
	}{
		{"resnet18", "steps_resnet18.onnx", "steps_resnet18.npz", train.CrossEntropy, "", mdsm.SGD{Momentum: 0.9, Decay: 1e-3}},
		{"vit", "steps_vit.onnx", "steps_vit.npz", train.CrossEntropy, "", mdsm.Adam{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, Decay: 0.1}},
		{"gpt2", "steps_gpt2.onnx", "steps_gpt2.npz", train.CrossEntropy, "", mdsm.Adam{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8}},
		{"lstm", "steps_lstm.onnx", "steps_lstm.npz", train.MSE, "", mdsm.Adam{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8}},
		{"lora", "lora/model.onnx", "lora/lora.npz", train.CrossEntropy, "rank=2,alpha=4", mdsm.Adam{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8}},
	} {
		f, model, err := train.ModelSettings{Path: filepath.Join(models, s.path), LoRA: s.lora}.Read(onnximport.Options{}, true)
		if err != nil {
			return err
		}
		g, err := train.Step(f, train.Loss{Name: s.loss}, s.optimiser)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		path := filepath.Join(dir, s.name)
		if err := export.WriteFile(path+".onnx", g, export.Options{}); err != nil {
			return err
		}
		arrays, err := npz.ReadFile(filepath.Join(models, s.arrays))
		if err != nil {
			return err
		}
		batch := make(map[string]*tensor.Tensor)
		for _, name := range []string{"x", train.TargetInput} {
			a := arrays[name]
			batch[name] = a.Rows(0, 1).Reshape(a.Shape()[1:]...)
		}
		if err := ran(ctx, rt, path, f.First(model), batch); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}
