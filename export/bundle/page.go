package bundle

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"html"
	"math"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"google.golang.org/protobuf/proto"

	"ebm/export"
	"ebm/export/onnxpb"
	"ebm/internal/files"
	"ebm/models/classifier"
	"ebm/models/energy"
	"ebm/models/graph"
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
	// Precision is how weights are kept: float32, float16 or int8 (those of
	// convolutions, with a scale a channel). The page computes in float32.
	Precision string
	// SigmaMax is the largest noise level that the energy was trained on, in
	// units of x: where few-step samplers begin.
	SigmaMax float64
	// Classes are the names of the classes that Classifier tells, and Classifier
	// its weights; both empty for none.
	Classes    []string
	Classifier energy.Weights
}

// Precisions are those that PageOptions takes.
func Precisions() []string { return []string{"int8", "float16", "float32"} }

// about is what the page's script knows of the model.
type about struct {
	Name     string   `json:"name"`
	Shape    []int    `json:"shape"`
	Length   int      `json:"length"`
	Channels int      `json:"channels"`
	Size     int      `json:"size"`
	Pad      int      `json:"pad"`
	Sigma0   float64  `json:"sigma0"`
	SigmaMax float64  `json:"sigma_max"`
	Classes  []string `json:"classes"`
	WebGPU   bool     `json:"webgpu"`
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
	n := w.Network
	model, err := w.pageModel(o.Precision)
	if err != nil {
		return nil, err
	}
	info := about{w.Name, n.InputShape(), tensor.Volume(n.InputShape()), n.Channels, n.Size, w.Pad, w.Sigma0, o.SigmaMax, nil, o.WebGPU}
	parts := map[string][]byte{"model": model, "ziggurat": rng.Ziggurat()}
	if len(o.Classes) > 0 {
		if parts["labels"], err = labelModel(n.InputShape(), w.Pad, o.Classifier); err != nil {
			return nil, err
		}
		info.Classes = o.Classes
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
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var list []part
	for _, key := range []string{"ziggurat", "model", "labels", "script", "wasm"} {
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
	return w.pageText(list, o)
}

// pageText fills in the page's template.
func (w *writer) pageText(parts []part, o PageOptions) ([]byte, error) {
	read := func(name string) string {
		b, _ := pageFiles.ReadFile("files/page/" + name) // embedded
		return string(b)
	}
	var script strings.Builder
	for _, name := range []string{"random.js", "chains.js", "page.js"} {
		script.WriteString(inlined(read(name)))
	}
	t, err := template.New("page").Parse(read("page.html"))
	if err != nil {
		return nil, err
	}
	data := w.Metadata["data"]
	if data != "" {
		data = ", trained on " + data
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"Title":  html.EscapeString("Pictures from an energy: " + w.Name),
		"About":  html.EscapeString(fmt.Sprintf("An energy-based model, %v%s. Chains of annealed Langevin dynamics turn noise into pictures by following the energy’s gradient.", w.Network, data)),
		"Footer": html.EscapeString(fmt.Sprintf("Weights as %s, SHA-256 %s. Computed by onnxruntime-web inside this page.", o.Precision, w.Weights.Hash())),
		"Style":  read("page.css"), "Script": script.String(), "Parts": parts,
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

// pageModel returns the score's file with weights of a precision.
func (w *writer) pageModel(precision string) ([]byte, error) {
	m, err := w.model("score")
	if err != nil {
		return nil, err
	}
	switch precision {
	case "float32":
	case "float16":
		halfWeights(m.Graph)
	case "int8":
		if _, err := export.QuantiseWeights(m); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("precision %q, want one of %s", precision, strings.Join(Precisions(), ", "))
	}
	return export.Marshal(m)
}

// halfWeights keeps large float32 initialisers as float16, with a Cast before
// their use, which ONNX Runtime makes once when it loads the file.
func halfWeights(g *onnxpb.GraphProto) {
	const worth = 256 // elements
	var casts []*onnxpb.NodeProto
	for _, t := range g.Initializer {
		if t.GetDataType() != int32(onnxpb.TensorProto_FLOAT) || len(t.RawData) < 4*worth {
			continue
		}
		values := make([]float32, len(t.RawData)/4)
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.RawData[4*i:]))
		}
		half := tensor.Of(values, len(values)).AsFloat16()
		raw := make([]byte, 0, 2*len(values))
		for _, v := range tensor.Data[tensor.Float16Bits](half) {
			raw = append(raw, byte(v), byte(v>>8))
		}
		name := t.GetName()
		t.Name, t.RawData, t.DataType = proto.String(name+".float16"), raw, proto.Int32(int32(onnxpb.TensorProto_FLOAT16))
		casts = append(casts, &onnxpb.NodeProto{
			OpType: proto.String("Cast"), Input: []string{t.GetName()}, Output: []string{name},
			Attribute: []*onnxpb.AttributeProto{{Name: proto.String("to"), Type: onnxpb.AttributeProto_INT.Enum(), I: proto.Int64(int64(onnxpb.TensorProto_FLOAT))}},
		})
	}
	g.Node = append(casts, g.Node...)
}

// labelModel returns the file of a classifier x [N …] → probabilities
// [N classes], for pictures of a shape with pad rows and columns around them
// that are no data.
func labelModel(shape []int, pad int, w energy.Weights) ([]byte, error) {
	n, err := classifier.Recognise(w)
	if err != nil {
		return nil, err
	}
	g := graph.New("classifier")
	err = graph.Catch(func() {
		x := g.Input("x", tensor.Float32, graph.Batch(shape...))
		pixels := graph.Scale(graph.Minimum(graph.Maximum(x, graph.Like(x, 0)), graph.Like(x, 1)), 255)
		pixels = graph.Floor(graph.Shift(pixels, 0.5))
		for axis := 2; axis < 4; axis++ {
			pixels = graph.Slice(pixels, axis, pad, shape[axis-1]-pad, 1)
		}
		seen, err := classifier.Preprocess(pixels)
		if err != nil {
			panic(&graph.Error{Op: x.Op(), Operands: []string{x.Type().String()}, Want: err.Error()})
		}
		logits := n.Build(seen, w.Constants(g, n, tensor.Float32)).Logits
		g.Output("probabilities", graph.Exp(graph.LogSoftmax(logits)))
	})
	if err != nil {
		return nil, err
	}
	return export.Bytes(g, export.Options{})
}
