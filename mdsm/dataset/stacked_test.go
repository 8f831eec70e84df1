package dataset

import (
	"slices"
	"testing"
)

func TestStackedMNIST(t *testing.T) {
	digits := load(t, Spec{Name: "mnist", Split: Test})
	byPixels := map[string]uint16{}
	for i := range digits.Len() {
		byPixels[string(digits.Picture(i))] = digits.Labels[i]
	}
	set := load(t, Spec{Name: "stacked-mnist", Split: Test, Seed: 3, Count: 20000})
	if set.Len() != 20000 || set.Channels != 3 || set.Height != 32 || set.Pad != 2 {
		t.Fatalf("%d pictures, %d channels of %d, pad %d", set.Len(), set.Channels, set.Height, set.Pad)
	}
	modes := map[uint16]int{}
	for i := range set.Len() {
		modes[set.Labels[i]]++
		number := uint16(0)
		for c := range 3 {
			digit, ok := byPixels[string(set.Picture(i)[c*1024:(c+1)*1024])]
			if !ok {
				t.Fatalf("channel %d of picture %d is no MNIST digit", c, i)
			}
			number = 10*number + digit
		}
		if number != set.Labels[i] {
			t.Fatalf("picture %d shows %d, but its label is %d", i, number, set.Labels[i])
		}
	}
	// 20 of each mode are expected; the chance that one is missing is 1e-6.
	if len(modes) != 1000 {
		t.Errorf("%d of 1000 modes", len(modes))
	}

	// A longer set begins as a shorter one; another seed gives others.
	short := load(t, Spec{Name: "stacked-mnist", Split: Test, Seed: 3, Count: 100})
	if !slices.Equal(short.Pixels, set.Pixels[:len(short.Pixels)]) {
		t.Error("the first 100 stacks depend on how many there are")
	}
	other := load(t, Spec{Name: "stacked-mnist", Split: Test, Seed: 4, Count: 100})
	if slices.Equal(other.Labels, short.Labels) {
		t.Error("the stacks do not depend on the seed")
	}
	wantError(t, Spec{Name: "stacked-mnist", Count: -1}, "-1")
	wantError(t, Spec{Name: "mnist", Count: 5}, "5", "stacked-mnist")
}
