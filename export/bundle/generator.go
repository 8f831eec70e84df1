package bundle

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"

	"ebm/export"
	"ebm/models/tensor"
)

// writeGenerator writes generator.onnx: z [N C·H·W], standard normal → images
// uint8 [N 3 H W], with all noise drawn inside.
func writeGenerator(_ context.Context, w *writer) error {
	if w.Batch != 0 {
		return fmt.Errorf("batch %d, want torch-fidelity's last batch may be smaller, so any", w.Batch)
	}
	g, err := w.Generator()
	if err != nil {
		return err
	}
	size := tensor.Volume(w.Network.InputShape())
	meta := maps.Clone(w.Metadata)
	meta["kind"], meta["seed"] = "generator", fmt.Sprint(w.Seed)
	m, err := export.Model(g, export.Options{
		Doc: fmt.Sprintf("pictures by annealed Langevin dynamics and one denoising jump (%v, σ₀ = %g)", w.Network, w.Sigma0),
		Docs: map[string]string{
			"z":      "the starts of the chains, standard normal",
			"images": "pictures as bytes",
		},
		Metadata: meta,
	})
	if err != nil {
		return err
	}
	if err := export.DrawNoise(m, "noise", w.Seed); err != nil {
		return err
	}
	if err := w.putModel("generator.onnx", m); err != nil {
		return err
	}
	w.result.Use = fmt.Sprintf("fidelity --input1 %s --input1-model-z-type normal --input1-model-z-size %d --input1-model-num-samples "+
		"50000 --input2 REFERENCE --fid",
		filepath.Join(w.dir, "generator.onnx"), size)
	return nil
}
