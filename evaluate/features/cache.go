package features

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/models/tensor"
	"ebm/runtime/parallel"
	"ebm/runtime/progress"
)

// layout is part of every key: blocks of an older layout are not found.
const layout = "ebm features 1"

// Cache is a folder of blocks. Several goroutines and processes may use it
// at once.
type Cache struct{ dir string }

// OpenCache returns the cache in dir, which is made if it is not there.
func OpenCache(dir string) (*Cache, error) {
	if err := atomicfile.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("feature cache: %w", err)
	}
	// What killed processes left goes; what others are writing stays.
	folders, err := filepath.Glob(filepath.Join(dir, "[0-9a-f][0-9a-f]"))
	for _, folder := range folders {
		err = errors.Join(err, atomicfile.Clean(folder))
	}
	if err != nil {
		return nil, fmt.Errorf("feature cache: %w", err)
	}
	return &Cache{dir}, nil
}

// String returns the folder, "" of no cache.
func (c *Cache) String() string {
	if c == nil {
		return ""
	}
	return c.dir
}

// key names a block.
type key string

// keyOf returns the key of the features of pictures, uint8 [n C H W], or of
// several of mixed sizes, by what maker describes.
func keyOf(maker string, pictures ...*tensor.Tensor) key {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%d %s\n", layout, len(maker), maker)
	for _, p := range pictures {
		fmt.Fprintf(h, "%v\n", p.Shape())
		h.Write(tensor.Data[uint8](p))
	}
	return key(hex.EncodeToString(h.Sum(nil)))
}

// Features returns the features of pictures by an extractor: those that are
// kept, or new ones, which it keeps, and then computed is true. Pictures are one
// tensor, or of mixed sizes one each. A nil cache keeps nothing. log gets a line
// when what was kept is damaged. stage counts pictures.
func (c *Cache) Features(ctx context.Context, e *Extractor, pictures []*tensor.Tensor, stage progress.Stage,
	log func(string)) (set Set, computed bool, err error) {
	compute := func() (Set, error) {
		if e.ways != nil {
			return e.FeaturesOfEach(ctx, pictures, stage)
		}
		return e.Features(ctx, pictures[0], stage)
	}
	if c == nil {
		set, err = compute()
		return set, true, err
	}
	set, k, found := c.kept(e, pictures, stage, log)
	if found {
		return set, false, nil
	}
	if set, err = compute(); err != nil {
		return set, true, err
	}
	return set, true, c.store(k, set)
}

// Kept returns the features of pictures, as Features takes them, that are kept; found is
// false for others.
func (c *Cache) Kept(e *Extractor, pictures []*tensor.Tensor, stage progress.Stage, log func(string)) (set Set, found bool) {
	set, _, found = c.kept(e, pictures, stage, log)
	return set, found
}

func (c *Cache) kept(e *Extractor, pictures []*tensor.Tensor, stage progress.Stage, log func(string)) (set Set, k key, found bool) {
	n := 0
	for _, p := range pictures {
		n += p.Shape()[0]
	}
	k = keyOf(string(e.Maker().JSON()), pictures...)
	set, found, err := c.load(k, n)
	if err != nil {
		log(err.Error() + "; it is computed again")
	}
	found = found && (set.Classes != nil || e.output.classes == "") // versions before 0.2 kept none
	if found {
		stage.Skip(int64(n))
	}
	return set, k, found
}

func (c *Cache) path(k key) string {
	return filepath.Join(c.dir, string(k[:2]), string(k)+".npz")
}

// load returns the block of a key for n pictures. Without one, found is false
// and there is no error. A damaged one is an error: the caller says so and
// computes the block again.
func (c *Cache) load(k key, n int) (s Set, found bool, err error) {
	path := c.path(k)
	arrays, err := npz.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Set{}, false, nil
	}
	if err == nil {
		s, err = setOf(arrays, n)
	}
	if err != nil {
		return Set{}, false, fmt.Errorf("feature cache: %s is damaged: %w", path, err)
	}
	return s, true, nil
}

// setOf checks what a file holds.
func setOf(arrays map[string]*tensor.Tensor, n int) (Set, error) {
	s := Set{Features: arrays["features"], Logits: arrays["logits"], Classes: arrays["classes"]}
	if s.Features == nil {
		return Set{}, errors.New("no array called features")
	}
	for name, t := range map[string]*tensor.Tensor{"features": s.Features, "logits": s.Logits} {
		if t == nil {
			continue
		}
		if t.DType() != tensor.Float32 || t.Rank() != 2 || t.Shape()[0] != n || t.Shape()[1] < 1 {
			return Set{}, fmt.Errorf("%s are %v, want float32[%d d]", name, t, n)
		}
		if i := parallel.NotFinite(tensor.Data[float32](t)); i >= 0 {
			return Set{}, fmt.Errorf("%s: number %d is not finite", name, i)
		}
	}
	if t := s.Classes; t != nil && (t.DType() != tensor.Float32 || t.Rank() != 3 || t.Shape()[0] != n) {
		return Set{}, fmt.Errorf("classes are %v, want float32[%d channels classes]", t, n)
	}
	return s, nil
}

// store keeps a block under its key.
func (c *Cache) store(k key, s Set) error {
	arrays := map[string]*tensor.Tensor{"features": s.Features}
	if s.Logits != nil {
		arrays["logits"] = s.Logits
	}
	if s.Classes != nil {
		arrays["classes"] = s.Classes
	}
	path := c.path(k)
	if err := atomicfile.MkdirAll(filepath.Dir(path)); err != nil {
		return fmt.Errorf("feature cache: %w", err)
	}
	err := atomicfile.Write(path, func(w io.Writer) error { return npz.Write(w, arrays, npz.Store) })
	if err != nil {
		return fmt.Errorf("feature cache: %w", err)
	}
	return nil
}
