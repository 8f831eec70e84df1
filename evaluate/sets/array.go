package sets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"ebm/evaluate/features"
	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/mdsm/dataset"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
)

// openArrays tells files of arrays apart by what they hold.
func (s *Source) openArrays(path string) error {
	if _, err := samples.CheckFloats(path); err != nil {
		return err
	}
	if _, err := atomicfile.CheckSum(path); err != nil {
		return err
	}
	var names []string
	if strings.HasSuffix(strings.ToLower(path), ".npz") {
		archive, err := npz.Open(path)
		if err != nil {
			return err
		}
		names = archive.Names()
		archive.Close()
		switch {
		case slices.Contains(names, "mu") || slices.Contains(names, "sigma"):
			return s.openStatistics(path)
		case slices.Contains(names, "features"):
			return s.openFeatureFile(path)
		}
	}
	rows, err := dataset.OpenArray(path)
	if err != nil {
		return err
	}
	if s.Labels, err = readLabels(path, names, rows.Shape[0]); err != nil {
		return errors.Join(err, rows.Close())
	}
	if len(rows.Shape) == 2 && rows.DType.IsFloat() {
		defer rows.Close()
		all, err := rows.Next(max(rows.Shape[0], 1))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return s.holdFeatures(path, features.Set{Features: all})
	}
	if err := s.openPictures(rows); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), rows.Close())
	}
	return nil
}

// openPictures prepares to read pictures from an array, in order.
func (s *Source) openPictures(rows *dataset.Array) error {
	pictures, err := dataset.NewPictureArray(rows, s.span)
	if err != nil {
		return err
	}
	pictures.Hint = " (--samples-range " + strings.Join(dataset.Ranges(), " or ") + ")"
	s.Channels, s.Height, s.Width = pictures.Channels, pictures.Height, pictures.Width
	s.Kind, s.Count, s.close = Pictures, rows.Shape[0], rows.Close
	s.end = func() error {
		for {
			if _, err := rows.Next(Block); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	at := 0
	s.read = func(_ context.Context, first, n int) ([]*tensor.Tensor, error) {
		if first != at {
			return nil, fmt.Errorf("%s: pictures are read in order, %d was wanted after %d", s.Name, first, at)
		}
		x, err := pictures.Next(n)
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%s: %w", s.Name, io.ErrUnexpectedEOF)
		}
		at += n
		return []*tensor.Tensor{x}, err
	}
	return nil
}

// readLabels reads the classes of n samples beside them, from the array labels, y or arr_1 of whole numbers.
func readLabels(path string, names []string, n int) ([]string, error) {
	for _, usual := range []string{"labels", "y", "arr_1"} {
		if !slices.Contains(names, usual) {
			continue
		}
		archive, err := npz.Open(path)
		if err != nil {
			return nil, err
		}
		defer archive.Close()
		t, err := archive.Read(usual)
		if err != nil {
			return nil, err
		}
		labels, err := labelsOf(t, n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return labels, nil
	}
	return nil, nil
}
