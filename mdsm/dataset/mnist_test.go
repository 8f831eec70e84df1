package dataset

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
)

func load(t *testing.T, spec Spec) *Set {
	t.Helper()
	set, err := Load(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// meanStd are the mean and standard deviation of pixels in [0, 1].
func meanStd(pixels []uint8) (mean, std float64) {
	var sum, squares float64
	for _, p := range pixels {
		v := float64(p) / 255
		sum += v
		squares += v * v
	}
	n := float64(len(pixels))
	mean = sum / n
	return mean, math.Sqrt(squares/n - mean*mean)
}

// The mean 0.1307 and standard deviation 0.3081 of the training pictures are
// what normalising code everywhere uses; the counts of the digits are those
// of the published set.
func TestMNISTIsTheRealOne(t *testing.T) {
	for _, tc := range []struct {
		split     Split
		histogram []int
		mean, std float64
	}{
		{Train, []int{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}, 0.1307, 0.3081},
		{Test, []int{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}, 0.1325, 0.3105},
	} {
		set := load(t, Spec{Name: "mnist", Split: tc.split, Size: 28})
		histogram := make([]int, 10)
		for _, l := range set.Labels {
			histogram[l]++
		}
		if !slices.Equal(histogram, tc.histogram) {
			t.Errorf("%v: digits %v, want %v", tc.split, histogram, tc.histogram)
		}
		if mean, std := meanStd(set.Pixels); math.Abs(mean-tc.mean) > 5e-5 || math.Abs(std-tc.std) > 5e-5 {
			t.Errorf("%v: mean %.4f and deviation %.4f, want %.4f and %.4f", tc.split, mean, std, tc.mean, tc.std)
		}
		if set.Channels != 1 || set.Height != 28 || set.Width != 28 || set.Pad != 0 || len(set.Notes) != 0 {
			t.Errorf("%v: %d channels of %dx%d, pad %d, notes %q", tc.split, set.Channels, set.Height, set.Width, set.Pad, set.Notes)
		}
	}
}

func TestMNISTSizesAgree(t *testing.T) {
	testkit.Long(t)
	plain := load(t, Spec{Name: "mnist", Split: Test, Size: 28})
	padded := load(t, Spec{Name: "mnist", Split: Test})
	halved := load(t, Spec{Name: "mnist", Split: Test, Size: 16})
	if padded.Pad != 2 || padded.Height != 32 || halved.Pad != 1 || halved.Height != 16 || halved.Len() != 10000 {
		t.Fatalf("pads %d and %d, heights %d and %d", padded.Pad, halved.Pad, padded.Height, halved.Height)
	}
	if h, w := halved.Native(); h != 14 || w != 14 {
		t.Errorf("native size at 16 is %dx%d, want 14x14", h, w)
	}
	for _, i := range []int{0, 1234, 9999} {
		for y := range 32 {
			for x := range 32 {
				want := uint8(0)
				if 2 <= y && y < 30 && 2 <= x && x < 30 {
					want = plain.Picture(i)[(y-2)*28+x-2]
				}
				if got := padded.Picture(i)[y*32+x]; got != want {
					t.Fatalf("picture %d at row %d, column %d: %d, want %d", i, y, x, got, want)
				}
			}
		}
		for y := range 16 {
			for x := range 16 {
				p := padded.Picture(i)
				sum := 0.0
				for _, at := range []int{0, 1, 32, 33} {
					sum += float64(p[2*y*32+2*x+at])
				}
				if got, want := halved.Picture(i)[y*16+x], uint8(math.Floor(sum/4+0.5)); got != want {
					t.Fatalf("picture %d halved at row %d, column %d: %d, want %d", i, y, x, got, want)
				}
			}
		}
	}
	if _, err := Load(context.Background(), Spec{Name: "mnist", Size: 20}); err == nil || !strings.Contains(err.Error(), "20") {
		t.Errorf("size 20: %v", err)
	}
}

func TestPinnedModuleIsTheOneInGoSum(t *testing.T) {
	sums := testkit.Read(t, "../../go.sum")
	if want := mnistModule + " " + mnistVersion + " " + mnistSum + "\n"; !strings.Contains(string(sums), want) {
		t.Errorf("go.sum lacks the line %q", want)
	}
}

func TestHashTellsSetsApart(t *testing.T) {
	a := &Set{Channels: 1, Height: 2, Width: 3, Pixels: []uint8{1, 2, 3, 4, 5, 6}, Labels: []uint16{7}}
	seen := map[string]string{a.Hash(): "itself"}
	for name, change := range map[string]func(*Set){
		"pixel": func(s *Set) { s.Pixels = []uint8{1, 2, 3, 4, 5, 7} },
		"shape": func(s *Set) { s.Height, s.Width = 3, 2 },
		"label": func(s *Set) { s.Labels = []uint16{8} },
		"none":  func(s *Set) { s.Labels = nil },
	} {
		b := *a
		change(&b)
		if other, ok := seen[b.Hash()]; ok {
			t.Errorf("%s: the same hash as %s", name, other)
		}
		seen[b.Hash()] = name
	}
	b := *a
	b.Name, b.Source = "x", "y"
	if b.Hash() != a.Hash() {
		t.Error("where a set comes from changes its hash")
	}
}

func TestFill(t *testing.T) {
	s := &Set{Channels: 2, Height: 1, Width: 2, Pixels: []uint8{0, 51, 102, 153, 204, 255, 1, 2}}
	dst := make([]float32, 8)
	s.Fill(dst, []int{1, 0})
	want := []float32{204. / 255, 1, 1. / 255, 2. / 255, 0, 0.2, 0.4, 0.6}
	if !slices.Equal(dst, want) {
		t.Errorf("filled %v, want %v", dst, want)
	}
}

func TestLoadUnknown(t *testing.T) {
	_, err := Load(context.Background(), Spec{Name: "imagenet"})
	if err == nil || !strings.Contains(err.Error(), "imagenet") || !strings.Contains(err.Error(), "mnist") {
		t.Errorf("unknown set: %v", err)
	}
}
