package bundle

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
)

//go:embed files/index.html files/ebm.js files/package.json
var webFiles embed.FS

// writeWeb writes model.onnx, which gives energies and denoised pictures,
// model.json, which says what they are of, and a page with its script. The page
// takes onnxruntime-web from node_modules, where npm puts it.
func writeWeb(_ context.Context, w *writer) error {
	if w.Batch > 1 {
		return fmt.Errorf("batch %d: the page has one picture at a time", w.Batch)
	}
	m, err := w.model("denoise")
	if err != nil {
		return err
	}
	if err := w.putModel("model.onnx", m); err != nil {
		return err
	}
	n := w.net.Plan()
	about, err := json.MarshalIndent(map[string]any{
		"name": w.Name, "network": w.net.String(), "channels": n.Channels, "size": n.Size, "sigma0": w.Sigma0, "pad": w.Pad,
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := w.put("model.json", append(about, '\n')); err != nil {
		return err
	}
	for _, name := range []string{"ebm.js", "package.json", "index.html"} {
		b, err := webFiles.ReadFile("files/" + name)
		if err != nil {
			return err
		}
		if err := w.put(name, b); err != nil {
			return err
		}
	}
	w.result.Use = "cd " + w.dir + " && npm install && python3 -m http.server"
	return nil
}
