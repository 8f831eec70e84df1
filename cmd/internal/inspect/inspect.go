package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ebm/internal/files"
	"ebm/models/weights"
	"ebm/models/zoo"
)

// Description is what a reference stands for. Exactly one of ONNX, Weights,
// Run and Checkpoint is set, the one that Kind names.
type Description struct {
	Ref        string      `json:"ref"`
	Kind       string      `json:"kind"` // "onnx", "weights", "run" or "checkpoint"
	ONNX       *ONNX       `json:"onnx,omitempty"`
	Weights    *Weights    `json:"weights,omitempty"`
	Run        *Run        `json:"run,omitempty"`
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
}

// Describe inspects what ref names: an ONNX model, a file or folder of weights that
// weights.Open reads, the folder of a run or of one of its
// checkpoints, or a shipped model. Of a file of weights, place is the part to describe.
func Describe(ctx context.Context, ref, place string) (*Description, error) {
	d := &Description{Ref: ref}
	info, err := os.Stat(ref)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = d.shipped(ctx)
	case err != nil:
	case info.IsDir():
		err = d.folder(ctx, place)
	default:
		err = d.file(ctx, info, place)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Description) shipped(ctx context.Context) error {
	set, ok, err := zoo.Open(d.Ref)
	if err == nil && !ok {
		err = fmt.Errorf("%s: no such file, folder or shipped model (%s)", d.Ref, strings.Join(zoo.Names(), ", "))
	}
	if err != nil {
		return err
	}
	d.Kind = "weights"
	if d.Weights, err = describeSet(ctx, set); err != nil {
		return err
	}
	card, err := zoo.CardOf(d.Ref)
	d.Weights.Card = &card
	return err
}

func (d *Description) folder(ctx context.Context, place string) (err error) {
	switch {
	case files.IsRegular(filepath.Join(d.Ref, configFile)):
		d.Kind = "run"
		d.Run, err = describeRun(ctx, d.Ref)
	case files.IsRegular(filepath.Join(d.Ref, modelFile)) && strings.HasPrefix(filepath.Base(filepath.Clean(d.Ref)), "step-"):
		d.Kind = "checkpoint"
		d.Checkpoint, err = describeCheckpoint(ctx, d.Ref)
	case weights.IsFolder(d.Ref):
		d.Kind = "weights"
		d.Weights, err = describeWeightsFile(ctx, d.Ref, place)
	default:
		err = fmt.Errorf("%s: neither a run's folder, which has a %s, nor a checkpoint's, which has a %s", d.Ref, configFile, modelFile)
	}
	return err
}

func (d *Description) file(ctx context.Context, info fs.FileInfo, place string) (err error) {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", d.Ref)
	}
	onnx, err := looksLikeONNX(d.Ref)
	if err != nil {
		return err
	}
	if onnx {
		d.Kind = "onnx"
		d.ONNX, err = describeONNXFile(ctx, d.Ref)
	} else {
		d.Kind = "weights"
		d.Weights, err = describeWeightsFile(ctx, d.Ref, place)
	}
	return err
}

// looksLikeONNX tells a model from a file of weights: by the extension if
// that says it, and otherwise by the first byte, which is that of the IR
// version in almost every ONNX file and no format's of weights but, by
// chance, that of safetensors, whose ninth is an opening brace.
func looksLikeONNX(path string) (bool, error) {
	switch ext := strings.ToLower(filepath.Ext(path)); {
	case ext == ".onnx":
		return true, nil
	case slices.Contains([]string{".safetensors", ".pt", ".pth", ".npz", ".bin", ".ckpt", ".pkl", ".json", ".npy"}, ext):
		return false, nil
	}
	f, err := files.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, 9)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return n > 0 && head[0] == 0x08 && !(n == 9 && head[8] == '{'), nil
}
