package dataset

import (
	"archive/tar"
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ebm/internal/picture"
)

// pictureFile is the file of a picture, by itself or inside an archive.
type pictureFile struct {
	name string // its path; inside an archive, the archive's and then its own
	size int64
	open func() (io.ReadCloser, error) // nil for a file by itself
}

// reader opens the file and returns its size.
func (f pictureFile) reader() (io.ReadCloser, int64, error) {
	if f.open != nil {
		r, err := f.open()
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", f.name, err)
		}
		return r, f.size, nil
	}
	in, err := os.Open(f.name)
	if err != nil {
		return nil, 0, err
	}
	info, err := in.Stat()
	if err != nil {
		in.Close()
		return nil, 0, err
	}
	return in, info.Size(), nil
}

// isPicture reports whether a name ends as pictures' do.
func isPicture(name string) bool {
	return slices.Contains(picture.Extensions(), strings.ToLower(filepath.Ext(name)))
}

// isArchive reports whether a path is that of an archive of pictures.
func isArchive(path string) bool {
	return slices.Contains([]string{".zip", ".tar"}, strings.ToLower(filepath.Ext(path)))
}

// listArchive lists the pictures in a .zip or .tar (such as a shard of webdataset) in the
// order of their names. They are read from where they are, a few at a time; the archive stays open
// as long as the list is used.
func listArchive(path string) (files []pictureFile, note string, err error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	left, example := 0, ""
	add := func(name string, size int64, open func() (io.ReadCloser, error)) {
		switch base := filepath.Base(name); {
		case strings.HasPrefix(base, ".") || strings.HasPrefix(name, "__MACOSX/"):
		case isPicture(name):
			files = append(files, pictureFile{filepath.Join(path, filepath.FromSlash(name)), size, open})
		default:
			left, example = left+1, base
		}
	}
	if strings.EqualFold(filepath.Ext(path), ".zip") {
		err = eachZipped(in, add)
	} else {
		err = eachInTar(in, add)
	}
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("holds no pictures, want files ending in one of %s", strings.Join(picture.Extensions(), ", "))
	}
	if err != nil {
		in.Close()
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	slices.SortFunc(files, func(a, b pictureFile) int { return strings.Compare(a.name, b.name) })
	if left > 0 {
		note = fmt.Sprintf("%s: %d files that are no pictures were left out, such as %s.", path, left, example)
	}
	return files, note, nil
}

func eachZipped(in *os.File, add func(name string, size int64, open func() (io.ReadCloser, error))) error {
	info, err := in.Stat()
	if err != nil {
		return err
	}
	z, err := zip.NewReader(in, info.Size())
	if err != nil {
		return err
	}
	for _, m := range z.File {
		if m.Mode().IsRegular() {
			add(m.Name, int64(m.UncompressedSize64), m.Open)
		}
	}
	return nil
}

// eachInTar finds where the members of a tar file lie, without reading them.
func eachInTar(in *os.File, add func(name string, size int64, open func() (io.ReadCloser, error))) error {
	for members := tar.NewReader(in); ; {
		h, err := members.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		at, err := in.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeReg {
			add(h.Name, h.Size, func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(in, at, h.Size)), nil })
		}
	}
}
