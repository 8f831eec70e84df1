package dataset

import (
	"context"
	"fmt"
	"image"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	celebaWidth, celebaHeight = 178, 218
	celebaCrop                = 140
	// Pictures up to this number are CelebA's training set, and those after
	// celebaLastValidation its test set, in its own list of the parts.
	celebaLastTrain      = 162770
	celebaLastValidation = 182637
)

// loadCelebA reads a folder of CelebA's aligned pictures, or of pictures that
// have the wanted size already, as the paper's authors had.
func loadCelebA(ctx context.Context, spec Spec) (*Set, error) {
	if spec.Dir == "" {
		return nil, fmt.Errorf("name the folder of the %dx%d pictures (img_align_celeba) with --data", celebaWidth, celebaHeight)
	}
	side := spec.Size
	if side == 0 {
		side = 32
	}
	root, files, note, err := listCelebA(spec)
	if err != nil {
		return nil, err
	}
	set, err := readPictures(ctx, files, 3, func(width, height int) (frame, error) {
		switch {
		case width == side && height == side:
			return frame{image.Rect(0, 0, side, side), side, side}, nil
		case width == celebaWidth && height == celebaHeight:
			return frame{middle(width, height, celebaCrop, celebaCrop), side, side}, nil
		}
		return frame{}, fmt.Errorf("want %dx%d (aligned CelebA) or %dx%d; the data set called folder takes other sizes",
			celebaWidth, celebaHeight, side, side)
	}, spec.Progress)
	if err != nil {
		return nil, err
	}
	set.Source = root
	set.note(note)
	return set, nil
}

// listCelebA finds the pictures of a split: by folders called train and test
// as any folder, or else by CelebA's own numbering when all files have names
// such as 000001.jpg.
func listCelebA(spec Spec) (root string, files []pictureFile, note string, err error) {
	all := spec
	all.Split = Train
	root, files, note, err = listSplit(all)
	if err != nil || root != spec.Dir {
		return listSplit(spec)
	}
	var kept []pictureFile
	for _, f := range files {
		number, ok := celebaNumber(f.name)
		if !ok {
			return listSplit(spec)
		}
		if (spec.Split == Train && number <= celebaLastTrain) || (spec.Split == Test && number > celebaLastValidation) {
			kept = append(kept, f)
		}
	}
	if len(kept) == 0 {
		return "", nil, "", fmt.Errorf("%s has no pictures of the %v set, which are those numbered 1…%d (train) and %d… (test)",
			root, spec.Split, celebaLastTrain, celebaLastValidation+1)
	}
	return root, kept, note, nil
}

func celebaNumber(name string) (int, bool) {
	base := filepath.Base(name)
	stem := strings.TrimSuffix(base, filepath.Ext(base))
	n, err := strconv.Atoi(stem)
	return n, err == nil && len(stem) == 6 && n > 0
}
