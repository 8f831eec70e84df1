package dataset

import (
	"context"
	"errors"
	"image"
	"os"

	"ebm/models/tensor"
)

// Folder is a folder or an archive (.zip, .tar) of pictures that are read a few at
// a time, so that there may be more than memory holds.
type Folder struct {
	// Channels is 1 when all pictures are grey, and 3 otherwise. Height and Width are 0 when sizes differ.
	Channels, Height, Width int
	// Labels are the places of the pictures' classes in Classes, the names of the folders that they are in; nil
	// where some are in none.
	Labels  []uint16
	Classes []string
	// Note says what was left out; it is often empty.
	Note string

	files   []pictureFile
	headers []header
}

// OpenFolder lists the pictures at and below dir in the order of their paths
// and reads their headers. A dir that is a file and no archive is the only picture. Files of another
// kind and a folder without pictures are errors.
func OpenFolder(ctx context.Context, dir string) (*Folder, error) {
	f := &Folder{files: []pictureFile{{name: dir}}}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		if f.files, f.Note, err = listPictures(dir); err != nil {
			return nil, err
		}
	case isArchive(dir):
		if f.files, f.Note, err = listArchive(dir); err != nil {
			return nil, err
		}
	}
	f.headers = make([]header, len(f.files))
	if err := forEach(ctx, len(f.files), func(i int) (err error) {
		f.headers[i], err = readHeader(f.files[i])
		return err
	}); err != nil {
		return nil, err
	}
	f.Labels, f.Classes = classes(dir, f.files)
	f.Channels, f.Height, f.Width = 1, f.headers[0].height, f.headers[0].width
	for _, h := range f.headers {
		if h.height != f.Height || h.width != f.Width {
			f.Height, f.Width = 0, 0
		}
		if !h.grey {
			f.Channels = 3
		}
	}
	return f, nil
}

// Len returns the number of pictures.
func (f *Folder) Len() int { return len(f.files) }

// Read decodes n pictures from number first on, as uint8 [n C H W], or where sizes differ one
// [1 C H W] each.
func (f *Folder) Read(ctx context.Context, first, n int) ([]*tensor.Tensor, error) {
	if first < 0 || n < 1 || first+n > len(f.files) {
		return nil, errors.New("a folder's pictures were asked for beyond its end")
	}
	var out []*tensor.Tensor
	place := make([][]uint8, n)
	if f.Height > 0 {
		all := tensor.New(tensor.Uint8, n, f.Channels, f.Height, f.Width)
		out = append(out, all)
		for i := range n {
			place[i] = tensor.Data[uint8](all.Rows(i, i+1))
		}
	} else {
		for i, h := range f.headers[first : first+n] {
			out = append(out, tensor.New(tensor.Uint8, 1, f.Channels, h.height, h.width))
			place[i] = tensor.Data[uint8](out[i])
		}
	}
	err := forEach(ctx, n, func(i int) error {
		h := f.headers[first+i]
		return readPicture(place[i], f.files[first+i], h, frame{image.Rect(0, 0, h.width, h.height), h.height, h.width})
	})
	return out, err
}
