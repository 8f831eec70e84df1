package dataset

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"

	"ebm/models/tensor"
)

// Folder is a folder or an archive (.zip, .tar) of pictures of one size that are read a few at
// a time, so that there may be more than memory holds.
type Folder struct {
	// Channels is 1 when all pictures are grey, and 3 otherwise.
	Channels, Height, Width int
	// Note says what was left out; it is often empty.
	Note string

	files   []pictureFile
	headers []header
}

// OpenFolder lists the pictures at and below dir in the order of their paths
// and reads their headers. A dir that is a file and no archive is the only picture. Mixed
// sizes, files of another kind and a folder without pictures are errors.
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
	f.Channels, f.Height, f.Width = 1, f.headers[0].height, f.headers[0].width
	for i, h := range f.headers {
		if h.height != f.Height || h.width != f.Width {
			return nil, fmt.Errorf("pictures are of mixed sizes: %s is %dx%d, but %s is %dx%d",
				f.files[0].name, f.Width, f.Height, f.files[i].name, h.width, h.height)
		}
		if !h.grey {
			f.Channels = 3
		}
	}
	return f, nil
}

// Len returns the number of pictures.
func (f *Folder) Len() int { return len(f.files) }

// Read decodes n pictures from number first on, as uint8 [n C H W].
func (f *Folder) Read(ctx context.Context, first, n int) (*tensor.Tensor, error) {
	if first < 0 || n < 1 || first+n > len(f.files) {
		return nil, errors.New("a folder's pictures were asked for beyond its end")
	}
	out := tensor.New(tensor.Uint8, n, f.Channels, f.Height, f.Width)
	each := out.Len() / n
	fr := frame{image.Rect(0, 0, f.Width, f.Height), f.Height, f.Width}
	err := forEach(ctx, n, func(i int) error {
		return readPicture(tensor.Data[uint8](out)[i*each:(i+1)*each], f.files[first+i], f.headers[first+i], fr)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
