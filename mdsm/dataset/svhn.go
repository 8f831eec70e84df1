package dataset

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"ebm/internal/files"
)

const svhnWanted = "want train_32x32.mat and test_32x32.mat (the cropped digits), or a folder of 32x32 pictures with a folder for each " +
	"digit"

// loadSVHN reads one of the .mat files of the cropped digits, or a folder of
// pictures.
func loadSVHN(ctx context.Context, spec Spec) (*Set, error) {
	if spec.Dir == "" {
		return nil, errors.New("name the folder with --data; " + svhnWanted)
	}
	info, err := os.Stat(spec.Dir)
	if err != nil {
		return nil, err
	}
	file := spec.Dir
	if info.IsDir() {
		file = filepath.Join(spec.Dir, spec.Split.String()+"_32x32.mat")
		if _, err := os.Stat(file); err != nil {
			other := filepath.Join(spec.Dir, (1-spec.Split).String()+"_32x32.mat")
			if _, err := os.Stat(other); err == nil {
				return nil, fmt.Errorf("%s is there, but not %s", other, file)
			}
			return loadClassFolders(ctx, spec, cifarSide)
		}
	}
	f, err := files.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := readSVHN(bufio.NewReaderSize(files.Cancelled{Context: ctx, Reader: f}, 1<<16))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	set := &Set{Source: file, Channels: 3, Labels: all.labels,
		Classes: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}}
	return set, set.take(all.pixels, cifarSide, spec, colourSizes())
}

// readSVHN reads the arrays X, uint8 [32, 32, 3, n] as row, column, channel
// and picture with the row varying fastest, and y, the n digits of which 10
// stands for 0. Its memory grows with what r really gives.
func readSVHN(r io.Reader) (records, error) {
	var all records
	seen := map[string]bool{}
	err := eachMATArray(r, func(a *matArray) (err error) {
		switch a.name {
		case "X":
			all.pixels, err = svhnPixels(a)
		case "y":
			all.labels, err = svhnLabels(a)
		default:
			return nil
		}
		if err == nil && seen[a.name] {
			err = errors.New("is there twice")
		}
		seen[a.name] = true
		return err
	})
	switch {
	case err != nil:
		return records{}, err
	case !seen["X"] || !seen["y"]:
		return records{}, errors.New("lacks the array X or y; " + svhnWanted)
	case len(all.pixels)/cifarPixels != len(all.labels):
		return records{}, fmt.Errorf("array X holds %d pictures, but y %d labels", len(all.pixels)/cifarPixels, len(all.labels))
	case len(all.labels) == 0:
		return records{}, errors.New("holds no pictures")
	}
	return all, nil
}

func svhnPixels(a *matArray) ([]uint8, error) {
	// MATLAB drops a last dimension of one.
	dims := slices.Clone(a.dims)
	if len(dims) == 3 {
		dims = append(dims, 1)
	}
	if a.class != mxUint8 || a.kind != miUint8 || len(dims) != 4 || !slices.Equal(dims[:3], []int{cifarSide, cifarSide, 3}) {
		return nil, fmt.Errorf("is an array of class %d with dimensions %v, want uint8 (%d) and [32 32 3 n]", a.class, a.dims, mxUint8)
	}
	if want := int64(dims[3]) * cifarPixels; a.size != want {
		return nil, fmt.Errorf("holds %d bytes, want %d for dimensions %v", a.size, want, dims)
	}
	var pixels []uint8
	picture, turned := make([]byte, cifarPixels), make([]byte, cifarPixels)
	for i := range dims[3] {
		if _, err := io.ReadFull(a.data, picture); err != nil {
			return nil, fmt.Errorf("picture %d of %d: %w", i, dims[3], short(err))
		}
		for at := range turned {
			channel, row, col := at/(cifarSide*cifarSide), at/cifarSide%cifarSide, at%cifarSide
			turned[at] = picture[(channel*cifarSide+col)*cifarSide+row]
		}
		pixels = append(pixels, turned...)
	}
	return pixels, nil
}

func svhnLabels(a *matArray) ([]uint16, error) {
	if len(a.dims) != 2 || (a.dims[0] != 1 && a.dims[1] != 1) {
		return nil, fmt.Errorf("has dimensions %v, want [n 1]", a.dims)
	}
	if n := max(a.dims[0], a.dims[1]); n > maxPictures {
		return nil, fmt.Errorf("has %d labels, want at most %d", n, maxPictures)
	}
	numbers, err := a.numbers()
	if err != nil {
		return nil, err
	}
	labels := make([]uint16, len(numbers))
	for i, v := range numbers {
		digit := int(v)
		if float64(digit) != v || digit < 0 || digit > 10 {
			return nil, fmt.Errorf("label %d is %v, want 1…10", i, v)
		}
		labels[i] = uint16(digit % 10)
	}
	return labels, nil
}
