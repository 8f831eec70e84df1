package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"ebm/mdsm/dataset"
	"ebm/models/tensor"
)

// pictureFlags say which pictures a command takes.
type pictureFlags struct {
	images, data string
	count        int
}

// add adds the flags but for the number of pictures; what says what the pictures
// are.
func (f *pictureFlags) add(fs *pflag.FlagSet, what string) {
	fs.StringVar(&f.images, "images", "", what+": a data set such as mnist:test, a picture, a folder, .zip or .tar of pictures, or an .npy "+
		"or .npz of uint8 [N H W C] or float [N C H W]")
	fs.StringVar(&f.data, "data", "", "folder of a named data set's files, for those that are not found by themselves")
}

// addCount adds the number of pictures.
func (f *pictureFlags) addCount(fs *pflag.FlagSet, count int) {
	fs.IntVar(&f.count, "count", count, "take the first N pictures, 0 for all")
}

// named reports whether the pictures are a data set's.
func (f *pictureFlags) named() bool {
	name, _, _ := strings.Cut(f.images, ":")
	return name != "folder" && slices.Contains(dataset.Names(), name)
}

// pictures reads pictures as float32 [N C H W] for a model of one shape: a data
// set by name, such as mnist or mnist:train (its test pictures when no split
// is said), or a user's own files.
func (f *pictureFlags) pictures(ctx context.Context, a *app, shape []int) (*tensor.Tensor, error) {
	if len(shape) != 3 {
		return nil, fmt.Errorf("want a model of pictures [C H W], not of %v", shape)
	}
	if !f.named() {
		x, err := dataset.Pictures(ctx, f.images, shape)
		if err != nil || f.count == 0 || x.Shape()[0] <= f.count {
			return x, err
		}
		return x.Rows(0, f.count), nil
	}
	name, split, err := dataset.ParseName(f.images, dataset.Test)
	if err != nil {
		return nil, err
	}
	set, err := dataset.Load(ctx, dataset.Spec{Name: name, Dir: f.data, Split: split, Size: shape[2], Log: a.log})
	if err != nil {
		return nil, err
	}
	if has := set.Shape(); !slices.Equal(has, shape) {
		return nil, fmt.Errorf("%s: its pictures are %v, the model wants %v", f.images, has, shape)
	}
	n := set.Len()
	if f.count > 0 {
		n = min(n, f.count)
	}
	index := make([]int, n)
	for i := range index {
		index[i] = i
	}
	return dataset.Tensor(set, index), nil
}
