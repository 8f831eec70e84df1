package sets

import (
	"errors"
	"fmt"

	"ebm/evaluate"
	"ebm/evaluate/features"
)

// MergeSums joins files of Options.WriteSums, in any order with the same bits, into a file
// of statistics, which is a Source like others. It returns the number of samples.
func MergeSums(paths []string, out string) (samples int, err error) {
	if len(paths) == 0 {
		return 0, errors.New("no files of sums, want one or more")
	}
	var whole *evaluate.Sums
	var maker *features.Maker
	for _, path := range paths {
		s, arrays, err := evaluate.ReadSums(path)
		if err != nil {
			return 0, err
		}
		m, err := makerOf(arrays[makerArray])
		if err == nil && m == nil {
			err = fmt.Errorf("no %s, want sums of evaluate --write-sums", makerArray)
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		if whole == nil {
			whole, maker = s, m
			continue
		}
		if err := m.Compares(path, *maker, paths[0]); err != nil {
			return 0, err
		}
		if err := whole.Merge(s); err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
	}
	statistics, err := whole.Statistics()
	if err != nil {
		return 0, err
	}
	return statistics.Count, writeStatistics(out, statistics, *maker)
}
