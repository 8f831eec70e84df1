package samples

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"ebm/internal/atomicfile"
	"ebm/internal/files"
	"ebm/internal/npz"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// shard is a file of finished samples. Its name has their indices and the
// CRC-32 of its bytes, so that one rename makes it whole and checkable.
type shard struct {
	first, count int
	sum          uint32
	path         string
}

const shardName = "%012d+%d.%08x.npy"

// parseShardName reads a shard's name; ok is false for other files.
func parseShardName(name string) (s shard, ok bool) {
	if n, err := fmt.Sscanf(name, shardName, &s.first, &s.count, &s.sum); n != 3 || err != nil {
		return s, false
	}
	ok = fmt.Sprintf(shardName, s.first, s.count, s.sum) == name && s.first >= 0 && s.count >= 1 && s.first <= rng.MaxSamples-s.count
	return s, ok
}

// IsShard reports whether a file's name is that of a shard.
func IsShard(name string) bool {
	_, ok := parseShardName(name)
	return ok
}

// CheckShard compares a shard with the checksum and the number of samples that
// its name has.
func CheckShard(path string) error {
	s, ok := parseShardName(filepath.Base(path))
	if !ok {
		return fmt.Errorf("%s, want the name of a shard", path)
	}
	s.path = path
	f, err := files.Open(path)
	if err != nil {
		return err
	}
	h, err := npz.ReadHeader(f)
	f.Close()
	if err != nil || len(h.Shape) == 0 {
		return fmt.Errorf("%s: not an array of samples: %v", path, err)
	}
	return s.check(h.DType, h.Shape[1:])
}

// writeShard writes samples, [n …] from index first, as a shard in dir.
func writeShard(dir string, first int, samples *tensor.Tensor) (shard, error) {
	var b bytes.Buffer
	if err := npz.WriteNpy(&b, samples); err != nil {
		return shard{}, err
	}
	s := shard{first: first, count: samples.Shape()[0], sum: crc32.ChecksumIEEE(b.Bytes())}
	s.path = filepath.Join(dir, fmt.Sprintf(shardName, s.first, s.count, s.sum))
	if err := atomicfile.WriteFile(s.path, b.Bytes()); err != nil && !atomicfile.Exists(s.path) {
		return s, err // not where another process published the same bytes
	}
	return s, nil
}

// check reports a shard that is not what was written: rows of another type or
// shape, or damaged.
func (s shard) check(dtype tensor.DType, row []int) error {
	f, err := files.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	h, err := npz.ReadHeader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	if want := append([]int{s.count}, row...); h.DType != dtype || !slices.Equal(h.Shape, want) || h.Fortran {
		return fmt.Errorf("%s: holds %v%v, want %v%v", s.path, h.DType, h.Shape, dtype, want)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	sum := crc32.NewIEEE()
	if _, err := io.Copy(sum, f); err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	if sum.Sum32() != s.sum {
		return fmt.Errorf("%s: damaged: its checksum is %08x", s.path, sum.Sum32())
	}
	return nil
}

// findShards lists the sound shards of the samples from first to before end, in
// order and without overlap. Damaged ones are removed, after a line to log.
func findShards(dir string, first, end int, dtype tensor.DType, row []int, log func(string)) ([]shard, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []shard
	for _, e := range entries {
		s, ok := parseShardName(e.Name())
		if !ok || s.first < first || s.first+s.count > end {
			continue
		}
		s.path = filepath.Join(dir, e.Name())
		if err := s.check(dtype, row); err != nil {
			log(err.Error() + "; its samples are made again")
			if err := os.Remove(s.path); err != nil {
				return nil, err
			}
			continue
		}
		found = append(found, s)
	}
	slices.SortFunc(found, func(a, b shard) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(b.count, a.count)) })
	at := first
	return slices.DeleteFunc(found, func(s shard) bool {
		if s.first < at {
			return true
		}
		at = s.first + s.count
		return false
	}), nil
}

// gap is a range of samples that no shard has.
type gap struct{ first, end int }

// gaps lists what is missing between shards that are in order.
func gaps(shards []shard, first, end int) []gap {
	var list []gap
	for _, s := range shards {
		if s.first > first {
			list = append(list, gap{first, s.first})
		}
		first = s.first + s.count
	}
	if first < end {
		list = append(list, gap{first, end})
	}
	return list
}

// within returns shards, in order, cut to the samples from first to before end, as
// gaps looks at them.
func within(shards []shard, first, end int) []shard {
	var list []shard
	for _, s := range shards {
		lo, hi := max(s.first, first), min(s.first+s.count, end)
		if lo < hi {
			list = append(list, shard{first: lo, count: hi - lo})
		}
	}
	return list
}
