package evaluate

import (
	"path/filepath"
	"slices"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/rng"
)

// Sums of parts have the bits of one process, in whatever order they are joined, and are
// those of the samples.
func TestSumsOfParts(t *testing.T) {
	const n, d = 7*SumRows + 130, 6
	x := normals(n, d, 3)
	whole, err := NewSums(d, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := whole.Add(x); err != nil {
		t.Fatal(err)
	}
	want, err := whole.Statistics()
	if err != nil {
		t.Fatal(err)
	}
	closeTo(t, want, statisticsOf(t, x), 1e-12)
	cuts := []int{0, SumRows, 4 * SumRows, 5 * SumRows, 7 * SumRows, n}
	dir := t.TempDir()
	var files []string
	for i := range len(cuts) - 1 {
		s, err := NewSums(d, cuts[i])
		if err != nil {
			t.Fatal(err)
		}
		for at := cuts[i]; at < cuts[i+1]; at += 100 {
			if err := s.Add(part(x, at, min(at+100, cuts[i+1]))); err != nil {
				t.Fatal(err)
			}
		}
		files = append(files, filepath.Join(dir, string(rune('a'+i))+".npz"))
		if err := s.Write(files[i], nil); err != nil {
			t.Fatal(err)
		}
	}
	read := func(path string) *Sums {
		t.Helper()
		s, _, err := ReadSums(path)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for order := range uint64(20) {
		p := rng.New(order).Permutation(len(files), rng.Probe, 0)
		sum := read(files[p[0]])
		for _, i := range p[1:] {
			if err := sum.Merge(read(files[i])); err != nil {
				t.Fatal(err)
			}
		}
		got, err := sum.Statistics()
		if err != nil || got.Count != n || !slices.Equal(got.Mean, want.Mean) || !slices.Equal(got.Covariance, want.Covariance) {
			t.Fatalf("order %v: other bits of %d samples, error %v", p, got.Count, err)
		}
	}
	sum := read(files[0])
	testkit.WantError(t, "a part twice", sum.Merge(read(files[0])), "samples 0 to 511 are in two parts")
	sum = read(files[0])
	if err := sum.Merge(read(files[2])); err != nil {
		t.Fatal(err)
	}
	_, err = sum.Statistics()
	testkit.WantError(t, "a part missing", err, "samples 512 to 2047 are missing")
	_, err = NewSums(d, 100)
	testkit.WantError(t, "a part from 100 on", err, "want a multiple of 512")
}
