package weights

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxIndex bounds the bytes of an index of shards.
const maxIndex = 64 << 20

// readIndex opens the shards of a model.safetensors.index.json or
// pytorch_model.bin.index.json, {"weight_map": {"name": "file beside it", …}}.
func (f *File) readIndex(in *os.File, size int64) error {
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if size > maxIndex {
		return fmt.Errorf("index of %d bytes, want at most %d", size, maxIndex)
	}
	if err := json.NewDecoder(in).Decode(&index); err != nil {
		return fmt.Errorf("index of shards: %w", err)
	}
	if len(index.WeightMap) == 0 {
		return fmt.Errorf("a JSON file without weight_map, want an index of shards")
	}
	shards := slices.Compact(slices.Sorted(maps.Values(index.WeightMap)))
	root := &node{}
	for _, name := range shards {
		if !filepath.IsLocal(name) || strings.HasSuffix(name, ".json") {
			return fmt.Errorf("shard %q, want a file of weights beside the index", name)
		}
		shard := &File{}
		path := filepath.Join(filepath.Dir(in.Name()), name)
		err := shard.open(path)
		f.closers = append(f.closers, shard.closers...)
		if err == nil {
			err = shard.index()
		}
		if err != nil {
			return fmt.Errorf("shard %s: %w", name, err)
		}
		for _, e := range shard.entries {
			if index.WeightMap[e.name] == name {
				root.add(e.name, e.source)
				delete(index.WeightMap, e.name)
			}
		}
		if f.Metadata == nil {
			f.Metadata = shard.Metadata
		}
	}
	for _, name := range slices.Sorted(maps.Keys(index.WeightMap)) {
		return fmt.Errorf("shard %s has no tensor %q, which the index says", index.WeightMap[name], name)
	}
	f.root = root
	return nil
}
