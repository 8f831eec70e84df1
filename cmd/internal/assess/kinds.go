package assess

import (
	"errors"
	"os"
	"path/filepath"

	"ebm"
	"ebm/internal/atomicfile"
	"ebm/runtime/progress"
)

// Exported is an ONNX file that was written.
type Exported struct {
	Kind  ebm.Kind `json:"kind"`
	Path  string   `json:"path"`
	Bytes int64    `json:"bytes"` // external data included
}

// WriteKinds writes one ONNX file of a model a kind into a folder, which is made if
// it is not there. A batch of 0 leaves N open.
func WriteKinds(m *ebm.Model, out string, kinds []ebm.Kind, batch int, show progress.Progress) ([]Exported, error) {
	return WriteFiles(out, "ebm export", kinds, func(path string, k ebm.Kind) error { return m.WriteONNX(path, k, batch) }, show)
}

// WriteFiles has write write a file a kind into a folder, for a command that the
// folder's lock names.
func WriteFiles(out, command string, kinds []ebm.Kind, write func(path string, k ebm.Kind) error,
	show progress.Progress) ([]Exported, error) {
	release, err := atomicfile.Fill(out, "write", command)
	if err != nil {
		return nil, err
	}
	defer release()
	stage := progress.Begin(show, "export", int64(len(kinds)), "file")
	defer stage.Done()
	var list []Exported
	for _, k := range kinds {
		f := Exported{Kind: k, Path: filepath.Join(out, string(k)+".onnx")}
		if err := write(f.Path, k); err != nil {
			return nil, err
		}
		for _, path := range []string{f.Path, f.Path + ".data"} {
			info, err := os.Stat(path)
			if err == nil {
				f.Bytes += info.Size()
			} else if !errors.Is(err, os.ErrNotExist) {
				return nil, err
			}
		}
		list = append(list, f)
		stage.Add(1)
	}
	return list, nil
}
