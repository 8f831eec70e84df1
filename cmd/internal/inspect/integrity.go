package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"ebm/internal/atomicfile"
	"ebm/internal/files"
	"ebm/internal/metrics"
	"ebm/internal/npz"
	"ebm/mdsm/samples"
	"ebm/mdsm/train"
	"ebm/models/weights"
)

// Checked is what is known of one file of a folder.
type Checked struct {
	Path   string `json:"path"`             // relative to the folder
	By     string `json:"by"`               // what was compared, "" for nothing
	Damage string `json:"damage,omitempty"` // what is wrong, "" for nothing
}

// Verify reads every file of a folder, such as a run's, and checks what it
// has to be checked by: hashes in weights, sums in archives and in the names of
// shards, and the form of the others. Leftovers of killed processes are listed
// as such.
func Verify(ctx context.Context, dir string) ([]Checked, error) {
	var list []Checked
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case path != dir && atomicfile.IsTemporary(e.Name()):
			list = append(list, Checked{Path: filepath.ToSlash(name), By: "its name: a leftover, or being written"})
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case e.IsDir() || files.IsLock(e.Name()):
			return nil
		}
		c := Checked{Path: filepath.ToSlash(name)}
		if c.By, err = verifyFile(ctx, path); err != nil {
			c.Damage = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		list = append(list, c)
		return nil
	})
	return append(list, incompleteIn(dir)...), err
}

// incompleteIn lists checkpoints that lack a file.
func incompleteIn(dir string) []Checked {
	broken, _ := train.Incomplete(dir) // a folder that cannot be read is an error of the walk
	var list []Checked
	for _, c := range broken {
		list = append(list, Checked{Path: "checkpoints/" + filepath.Base(c.Dir), By: "its files",
			Damage: "it lacks one of model.safetensors and state.safetensors"})
	}
	return list
}

// verifyFile checks one file and returns by what.
func verifyFile(ctx context.Context, path string) (by string, err error) {
	base := filepath.Base(path)
	switch ext := strings.ToLower(filepath.Ext(path)); {
	case ext == ".safetensors" || ext == ".pt" || ext == ".pth":
		return verifyWeights(path)
	case ext == ".npz":
		return "checksums", verifyArchive(path)
	case samples.IsShard(base):
		return "the checksum in its name", samples.CheckShard(path)
	case ext == ".npy":
		if checked, err := samples.CheckFloats(path); checked || err != nil {
			return "the hash in its folder's record", err
		}
		if checked, err := atomicfile.CheckSum(path); checked || err != nil {
			return "its sum in " + atomicfile.SumsFile, err
		}
		_, err := npz.ReadNpyFile(path)
		return "its size", err
	case base == metrics.LinesFile:
		_, err := metrics.ReadFile(path)
		return "its lines", err
	case base == configFile:
		_, err := train.ReadSettings(path)
		return "its settings", err
	case ext == ".json":
		return "its form", verifyJSON(path)
	case ext == ".png":
		return "checksums", verifyPNG(path)
	case ext == ".onnx":
		m, err := describeONNXFile(ctx, path)
		if m != nil && m.sealed {
			return "the hash of its content", err
		}
		return "its form", err
	}
	f, err := files.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return "", err
}

func verifyWeights(path string) (by string, err error) {
	f, err := weights.Open(path)
	if err != nil {
		return "its form", err
	}
	by = "its form"
	if f.Metadata[weights.HashKey] != "" {
		by = "the hash of its tensors"
	}
	f.Close()
	_, err = weights.Load(path)
	return by, err
}

func verifyArchive(path string) error {
	a, err := npz.Open(path)
	if err != nil {
		return err
	}
	defer a.Close()
	for _, name := range a.Names() { // one in memory at a time
		if _, err := a.Read(name); err != nil {
			return err
		}
	}
	return nil
}

func verifyJSON(path string) error {
	text, err := files.ReadFile(path)
	if err == nil && !json.Valid(text) {
		err = fmt.Errorf("%s is not JSON", path)
	}
	return err
}

func verifyPNG(path string) error {
	f, err := files.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = png.Decode(f)
	return err
}
