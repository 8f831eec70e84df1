package dataset

import (
	"context"
	"fmt"

	"ebm/models/rng"
)

// loadStacked makes pictures of three random MNIST digits, one in each
// channel. The label is the number that the three digits make, 0…999, with the
// hundreds in channel 0: the mode, of 1000, that the picture belongs to. Which
// digits stack i has depends on Spec.Seed and i alone.
func loadStacked(ctx context.Context, spec Spec) (*Set, error) {
	if spec.Count < 0 || spec.Count > maxPictures {
		return nil, fmt.Errorf("count %d is not in 0…%d", spec.Count, maxPictures)
	}
	digits, err := loadMNIST(ctx, spec)
	if err != nil {
		return nil, err
	}
	n := spec.Count
	if n == 0 {
		n = digits.Len()
	}
	set := *digits
	set.Source = fmt.Sprintf("%s, stacked with seed %d", digits.Source, spec.Seed)
	set.Channels, set.Classes = 3, nil
	plane := digits.Height * digits.Width
	set.Pixels, set.Labels = make([]uint8, 0, n*3*plane), make([]uint16, n)
	random := rng.New(spec.Seed)
	for i := range n {
		for channel := range uint32(3) {
			digit := random.IntN(digits.Len(), rng.Compose, uint64(i), channel)
			set.Pixels = append(set.Pixels, digits.Picture(digit)...)
			set.Labels[i] = 10*set.Labels[i] + digits.Labels[digit]
		}
	}
	return &set, nil
}
