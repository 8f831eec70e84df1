package features

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

// layout is part of every key: blocks of an older layout are not found.
const layout = "ebm features 1"

// Cache is a folder of blocks. It may be used by several goroutines and
// processes at once.
type Cache struct{ dir string }

// Open returns the cache in dir, which is made if it is not there.
func Open(dir string) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("feature cache: %w", err)
	}
	return &Cache{dir}, nil
}

// Key names a block.
type Key string

// KeyOf returns the key of the features of pictures, uint8 [n C H W], by what
// maker describes.
func KeyOf(maker string, pictures *tensor.Tensor) Key {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%d %s\n%v\n", layout, len(maker), maker, pictures.Shape())
	h.Write(tensor.Data[uint8](pictures))
	return Key(hex.EncodeToString(h.Sum(nil)))
}

func (c *Cache) path(key Key) string {
	return filepath.Join(c.dir, string(key[:2]), string(key)+".npz")
}

// Block is what the network says of n pictures.
type Block struct {
	Features *tensor.Tensor // float32 [n, d]
	Logits   *tensor.Tensor // float32 [n, classes], or nil
}

// Load returns the block of a key for n pictures. Without one, found is false
// and there is no error. A damaged one is an error: the caller says so and
// computes the block again.
func (c *Cache) Load(key Key, n int) (b Block, found bool, err error) {
	path := c.path(key)
	arrays, err := npz.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Block{}, false, nil
	}
	if err == nil {
		b, err = blockOf(arrays, n)
	}
	if err != nil {
		return Block{}, false, fmt.Errorf("feature cache: %s is damaged: %w", path, err)
	}
	return b, true, nil
}

// blockOf checks what a file holds.
func blockOf(arrays map[string]*tensor.Tensor, n int) (Block, error) {
	b := Block{arrays["features"], arrays["logits"]}
	if b.Features == nil {
		return Block{}, errors.New("no array called features")
	}
	for name, t := range map[string]*tensor.Tensor{"features": b.Features, "logits": b.Logits} {
		if t == nil {
			continue
		}
		if t.DType() != tensor.Float32 || t.Rank() != 2 || t.Shape()[0] != n || t.Shape()[1] < 1 {
			return Block{}, fmt.Errorf("%s are %v, want float32[%d d]", name, t, n)
		}
		for i, v := range tensor.Data[float32](t) {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return Block{}, fmt.Errorf("%s: number %d is not finite", name, i)
			}
		}
	}
	return b, nil
}

// Store keeps a block under its key.
func (c *Cache) Store(key Key, b Block) error {
	arrays := map[string]*tensor.Tensor{"features": b.Features}
	if b.Logits != nil {
		arrays["logits"] = b.Logits
	}
	path := c.path(key)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("feature cache: %w", err)
	}
	err := atomicfile.Write(path, func(w io.Writer) error { return npz.Write(w, arrays, npz.Store) })
	if err != nil {
		return fmt.Errorf("feature cache: %w", err)
	}
	return nil
}
