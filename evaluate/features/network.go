package features

import (
	"errors"

	"ebm/runtime"
)

// Network makes features, once it is opened for pictures of one size.
type Network struct {
	Identity Identity
	// File is the file of weights and FileHash its SHA-256; both are empty where
	// the program brings them along.
	File, FileHash string
	// Warnings say what is unusual about the network.
	Warnings []string

	open func(rt *runtime.Runtime, channels, height, width int) (*Extractor, error)
}

// Open loads the network for pictures [channels height width], or of mixed sizes where height and
// width are 0, which the classifier and pixels do not take. The caller closes it.
func (n *Network) Open(rt *runtime.Runtime, channels, height, width int) (*Extractor, error) {
	return n.open(rt, channels, height, width)
}

// PixelValues returns the network that is none: features are the pictures'
// values from 0 to 1.
func PixelValues() *Network {
	open := func(_ *runtime.Runtime, _, height, _ int) (*Extractor, error) {
		if height == 0 {
			return nil, errors.New("pixels of pictures of mixed sizes, want one size")
		}
		return NewPixels(), nil
	}
	return &Network{Identity: Identity{Kind: Pixels}, open: open}
}
