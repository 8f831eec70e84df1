package bundle

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"ebm/internal/files"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
)

//go:embed files/page
var pageFiles embed.FS

// PageOptions say what a page holds.
type PageOptions struct {
	// Web is the folder of onnxruntime-web's files, as of runtime.WebFolder.
	Web string
	// WebGPU takes the larger build that uses the browser's GPU where it can.
	WebGPU bool
	// Precision is how weights are kept, one of Precisions; "" for int8 in the
	// project's networks, and float32 in other files. The page computes in float32.
	Precision string
	// Samplers are those that the page offers, the first one unless another is
	// chosen.
	Samplers []Sampler
	// Picture is one that the page begins with, float32 [1 C H W], and Hidden the
	// part of it that is to be filled in, as of langevin.ReadMask; either may be
	// nil.
	Picture, Hidden *tensor.Tensor
	// Mean and Deviation of each column are those of points that were standardised;
	// the page says places in the units of the data. Nil for none.
	Mean, Deviation []float64
	// Classes are the names of the classes that Classifier tells, and Classifier
	// its weights; both empty for none.
	Classes    []string
	Classifier energy.Weights
}

// Sampler is a chain of updates.
type Sampler struct {
	Name  string // one word, for the page's address
	About string
	// Chains begin at Mean + Sigma·n.
	Mean, Sigma float64
	// Rows are the updates, float32 [K 9] as of mdsm.Rows.
	Rows *tensor.Tensor
	// Jump says that the last update is the denoising jump, which has no noise.
	Jump bool
}

// about is what the page's script knows of the model.
type about struct {
	Name     string    `json:"name"`
	Shape    []int     `json:"shape"`
	Length   int       `json:"length"`
	Channels int       `json:"channels"` // of pictures, 0 for points
	Height   int       `json:"height"`
	Width    int       `json:"width"`
	Pad      int       `json:"pad"`
	Sigma0   float64   `json:"sigma0"` // 0 where there is no denoising jump
	Batch    int       `json:"batch"`  // the rows that the model takes, 0 for any number
	Energy   bool      `json:"energy"` // whether the model says it
	Classes  []string  `json:"classes"`
	WebGPU   bool      `json:"webgpu"`
	Picture  []float32 `json:"picture"`
	Hidden   []float32 `json:"hidden"`

	Mean      []float64 `json:"mean"`
	Deviation []float64 `json:"deviation"`

	hash string // SHA-256 of the score's file, in hexadecimal
}

// chain is a sampler as the page's script has it.
type chain struct {
	Name  string    `json:"name"`
	About string    `json:"about"`
	Mean  float64   `json:"mean"`
	Sigma float64   `json:"sigma"`
	Jump  bool      `json:"jump"`
	Rows  []float32 `json:"rows"`
}

// part is data inside the page: gzip in base64, or plain text.
type part struct{ Name, Text string }

// writePage writes one HTML file, which samples from the energy and fills in
// pictures in a browser, without a network: the model, onnxruntime-web and the
// script are inside.
func writePage(ctx context.Context, w *writer) error {
	text, err := w.page(ctx, w.Page)
	if err != nil {
		return err
	}
	w.result.Use = "open " + filepath.Join(w.dir, w.file) + " in a browser"
	return w.put(w.file, text)
}

func (w *writer) page(ctx context.Context, o PageOptions) ([]byte, error) {
	if len(o.Samplers) == 0 {
		return nil, fmt.Errorf("no samplers, want one or more")
	}
	shape := w.Network.InputShape()
	info := about{
		Name: w.Name, Shape: shape, Length: tensor.Volume(shape), Sigma0: w.Sigma0, Classes: o.Classes, WebGPU: o.WebGPU,
		Picture: valuesOf(o.Picture), Hidden: valuesOf(o.Hidden), Mean: o.Mean, Deviation: o.Deviation,
	}
	if info.Channels, info.Height, info.Width = pictures(shape); info.Channels > 0 {
		info.Pad = w.Pad
	}
	o.Precision = cmp.Or(o.Precision, w.precision())
	model, err := w.pageModel(o.Precision, &info)
	if err != nil {
		return nil, err
	}
	parts := map[string][]byte{"model": model, "ziggurat": rng.Ziggurat()}
	if parts["samplers"], err = json.Marshal(chains(o.Samplers)); err != nil {
		return nil, err
	}
	if len(o.Classes) > 0 {
		if parts["labels"], err = labelModel(shape, w.Pad, o.Classifier); err != nil {
			return nil, err
		}
	}
	names := []string{"ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"}
	if o.WebGPU {
		names = []string{"ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.wasm"}
	}
	for i, key := range []string{"script", "wasm"} {
		if parts[key], err = files.ReadFile(filepath.Join(o.Web, names[i])); err != nil {
			return nil, err
		}
	}
	var list []part
	for _, key := range []string{"ziggurat", "samplers", "model", "labels", "script", "wasm"} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(parts[key]) == 0 {
			continue
		}
		packed, err := packed(parts[key])
		if err != nil {
			return nil, err
		}
		list = append(list, part{key, packed})
	}
	told, err := json.Marshal(info) // escapes <, so that no text ends the script
	if err != nil {
		return nil, err
	}
	engine, err := pageFiles.ReadFile("files/page/engine.js")
	if err != nil {
		return nil, err
	}
	list = append(list, part{"about", string(told)}, part{"engine", string(engine)})
	return w.pageText(list, o.Precision, info)
}

// pictures returns what one x is as a picture, [C H W] in grey or colour or
// [H W]; channels are 0 for a point of any other shape.
func pictures(shape []int) (channels, height, width int) {
	const least = 4 // a side
	if len(shape) == 2 {
		shape = append([]int{1}, shape...)
	}
	if len(shape) != 3 || shape[0] != 1 && shape[0] != 3 || min(shape[1], shape[2]) < least {
		return 0, 0, 0
	}
	return shape[0], shape[1], shape[2]
}

func valuesOf(t *tensor.Tensor) []float32 {
	if t == nil {
		return nil
	}
	return tensor.Data[float32](t)
}

func chains(samplers []Sampler) []chain {
	var list []chain
	for _, s := range samplers {
		list = append(list, chain{s.Name, s.About, s.Mean, s.Sigma, s.Jump, valuesOf(s.Rows)})
	}
	return list
}

// pageText fills in the page's template.
func (w *writer) pageText(parts []part, precision string, info about) ([]byte, error) {
	read := func(name string) string {
		b, _ := pageFiles.ReadFile("files/page/" + name) // embedded
		return string(b)
	}
	var script strings.Builder
	for _, name := range []string{"random.js", "chains.js", "client.js", "picture.js", "easel.js", "plane.js", "page.js"} {
		script.WriteString(inlined(read(name)))
	}
	t, err := template.New("page").Parse(read("page.html"))
	if err != nil {
		return nil, err
	}
	what := "Points"
	if info.Channels > 0 {
		what = "Pictures"
	}
	of := fmt.Sprint(w.Network)
	if text := w.Metadata["composition"]; text != "" {
		of = "the composition " + text
	}
	if data := w.Metadata["data"]; data != "" {
		of += ", trained on " + data
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"Title": html.EscapeString(what + " from an energy: " + w.Name),
		"About": html.EscapeString(fmt.Sprintf("An energy-based model: %s. Chains turn noise into %s by following the energy’s gradient.", of,
			strings.ToLower(what))),
		"Footer": html.EscapeString(fmt.Sprintf("Weights as %s, SHA-256 %s. Computed by onnxruntime-web inside this page.", precision,
			cmp.Or(w.Metadata["weights_sha256"], info.hash))),
		"Pictures": info.Channels > 0, "Colour": info.Channels == 3, "Jump": w.Sigma0 > 0, "Wide": info.Length > 2, "Plane": info.Length == 2,
		"Style": read("page.css"), "Script": script.String(), "Parts": parts,
	})
	return b.Bytes(), err
}

var (
	importLine = regexp.MustCompile(`(?m)^import .*\n`)
	exportWord = regexp.MustCompile(`(?m)^export `)
)

// inlined makes a module part of a script that has its imports beside it.
func inlined(module string) string {
	return exportWord.ReplaceAllString(importLine.ReplaceAllString(module, ""), "")
}

func packed(b []byte) (string, error) {
	var out strings.Builder
	coder := base64.NewEncoder(base64.StdEncoding, &out)
	z, err := gzip.NewWriterLevel(coder, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := z.Write(b); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	err = coder.Close()
	return out.String(), err
}
