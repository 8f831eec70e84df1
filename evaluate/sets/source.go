package sets

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/internal/npz"
	"ebm/internal/picture"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/models/tensor"
)

// Kind says whether a source holds pictures or what was made of them.
type Kind string

// The kinds.
const (
	Pictures   Kind = "pictures"
	Features   Kind = "features"
	Statistics Kind = "statistics"
)

// Source is one side of a comparison: pictures, or what was made of them
// before.
type Source struct {
	Name  string // as the user gave it
	Kind  Kind
	Data  string // the data set that pictures are of, "" where nothing says it
	Count int    // samples; 0 when a file of statistics does not say

	Channels, Height, Width int      // of pictures; height and width are 0 when their sizes differ
	Labels                  []string // the class of each sample, nil where nothing says it
	Notes                   []string // remarks for a person

	// read returns pictures uint8 [n C H W], or where Height and Width are 0 one [1 C H W] each.
	read       func(ctx context.Context, first, n int) ([]*tensor.Tensor, error)
	end        func() error // reads what a limit left, so that the file's sum is checked; nil where there is none
	close      func() error
	features   features.Set
	statistics *evaluate.Statistics
	maker      *features.Maker // nil when a file does not say
	span       string          // SourceOptions.Range
}

// SourceOptions say how to open a source.
type SourceOptions struct {
	Data string // folder of a data set's files, for those that are not found by themselves
	// Side is the height of the pictures that a data set is compared with: a
	// set that can be had in several sizes comes in this one if it can.
	// 0 takes the set's own, without padding.
	Side  int
	Limit int // take no more samples than these, the first; 0 takes all
	// Range is what the floats of an array mean for black and white, one of dataset.Ranges; "" means 0..1.
	Range string
	Log   func(line string)
}

// Open opens what ref names: a data set with or without a split (mnist,
// cifar10:test), a run's folder, a folder or archive (.zip, .tar) of pictures or one of them,
// an array of pictures (as dataset.OpenArray reads them; whole numbers from 0 to 255
// or floats, with the channels first or last), features (an array of floats [N d], or .npz
// with features and perhaps logits), or statistics (.npz with mu and sigma).
// The caller closes it.
func Open(ctx context.Context, ref string, o SourceOptions) (*Source, error) {
	s := &Source{Name: ref, span: o.Range, close: func() error { return nil }}
	if err := s.open(ctx, ref, o); err != nil {
		return nil, err
	}
	if o.Limit > 0 && s.Count > o.Limit {
		if s.Kind == Statistics {
			return nil, fmt.Errorf("%s: statistics of %d samples cannot be cut to %d", ref, s.Count, o.Limit)
		}
		s.Count = o.Limit
		s.features.Features, s.features.Logits = firstRows(s.features.Features, o.Limit), firstRows(s.features.Logits, o.Limit)
	}
	return s, nil
}

// size says how large the pictures are.
func (s *Source) size() string {
	if s.Height == 0 {
		return "of mixed sizes"
	}
	return fmt.Sprintf("%d×%d pixels", s.Height, s.Width)
}

// Close closes the files.
func (s *Source) Close() error { return s.close() }

func (s *Source) open(ctx context.Context, ref string, o SourceOptions) error {
	info, err := os.Stat(ref)
	if err != nil {
		name, _, _ := strings.Cut(ref, ":")
		if slices.Contains(dataSets(), name) {
			name, split, err := dataset.ParseName(ref, dataset.Train)
			if err != nil {
				return err
			}
			return s.openDataSet(ctx, name, split, o)
		}
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w; it is no data set either, want one of %s, with :train or :test", err, strings.Join(dataSets(), ", "))
		}
		return err
	}
	if info.IsDir() {
		drawn := filepath.Join(ref, "samples", "samples.npz")
		if _, err := os.Stat(drawn); err == nil {
			return s.openArrays(drawn)
		}
		if _, err := os.Stat(filepath.Join(ref, "samples.npz")); err == nil {
			return s.openArrays(filepath.Join(ref, "samples.npz"))
		}
		if train.HasConfig(ref) {
			return fmt.Errorf("%s is a run without samples: draw some with ebm sample --run %s", ref, ref)
		}
		return s.openFolder(ctx, ref)
	}
	if dataset.IsArray(ref) {
		return s.openArrays(ref)
	}
	return s.openFolder(ctx, ref)
}

// dataSets are the names that stand for pictures without a folder of the user's.
func dataSets() []string {
	return slices.DeleteFunc(dataset.Names(), func(name string) bool { return name == "folder" })
}

func (s *Source) openDataSet(ctx context.Context, name string, split dataset.Split, o SourceOptions) error {
	spec := dataset.Spec{Name: name, Split: split, Dir: o.Data, Log: o.Log}
	for _, info := range dataset.Catalogue() {
		if info.Name != name || len(info.Sizes) == 0 {
			continue
		}
		if slices.Contains(info.Sizes, 28) {
			spec.Size = 28 // the 28×28 sets without the padding that is for training
		}
		if slices.Contains(info.Sizes, o.Side) {
			spec.Size = o.Side
		}
		if spec.Size == 28 && o.Side == 14 {
			spec.Size = 16 // whose padding goes below
		}
	}
	set, err := dataset.Load(ctx, spec)
	if err != nil {
		return err
	}
	s.Kind, s.Data, s.Count, s.Notes = Pictures, name, set.Len(), set.Notes
	s.Channels, s.Height, s.Width = set.Channels, set.Height, set.Width
	s.Labels = named(set.Labels, set.Classes)
	if o.Side > 0 && o.Side == set.Height-2*set.Pad {
		s.Height, s.Width = set.Native()
	}
	each := set.Channels * set.Height * set.Width
	s.read = func(_ context.Context, first, n int) ([]*tensor.Tensor, error) {
		x := tensor.Of(set.Pixels[first*each:(first+n)*each], n, set.Channels, set.Height, set.Width)
		if s.Height == set.Height {
			return []*tensor.Tensor{x}, nil
		}
		x, err := picture.Crop(x, s.Height, s.Width)
		return []*tensor.Tensor{x}, err
	}
	return nil
}

// named returns labels by the names of their classes, or as numbers where those have no names.
func named(labels []uint16, classes []string) []string {
	if labels == nil {
		return nil
	}
	names := make([]string, len(labels))
	for i, l := range labels {
		if names[i] = fmt.Sprint(l); int(l) < len(classes) {
			names[i] = classes[l]
		}
	}
	return names
}

func (s *Source) openFolder(ctx context.Context, path string) error {
	folder, err := dataset.OpenFolder(ctx, path)
	if err != nil {
		return err
	}
	s.Kind, s.Count = Pictures, folder.Len()
	s.Channels, s.Height, s.Width = folder.Channels, folder.Height, folder.Width
	if folder.Note != "" {
		s.Notes = append(s.Notes, folder.Note)
	}
	s.Labels = named(folder.Labels, folder.Classes)
	s.read = folder.Read
	return nil
}

func (s *Source) openStatistics(path string) (err error) {
	s.Kind = Statistics
	if s.statistics, err = evaluate.ReadStatistics(path); err != nil {
		return err
	}
	s.Count = s.statistics.Count
	s.maker, err = readMaker(path)
	return err
}

func (s *Source) openFeatureFile(path string) error {
	arrays, err := npz.ReadFile(path)
	if err != nil {
		return err
	}
	if s.maker, err = makerOf(arrays[makerArray]); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := s.holdFeatures(path, features.Set{Features: arrays["features"], Logits: arrays["logits"]}); err != nil {
		return err
	}
	if s.Labels, err = labelsOf(arrays["labels"], s.Count); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (s *Source) holdFeatures(path string, set features.Set) error {
	if f := set.Features; f.Rank() != 2 || !f.DType().IsFloat() || f.Len() == 0 {
		return fmt.Errorf("%s: features are %v, want floats [N d]", path, f)
	}
	n := set.Features.Shape()[0]
	if l := set.Logits; l != nil && (l.Rank() != 2 || !l.DType().IsFloat() || l.Shape()[0] != n) {
		return fmt.Errorf("%s: logits are %v, want floats [%d classes]", path, l, n)
	}
	// Files of NumPy's may hold any floats, and the message names the file.
	for what, t := range map[string]*tensor.Tensor{"feature": set.Features, "logit": set.Logits} {
		if t == nil {
			continue
		}
		d := t.Shape()[1]
		for i, v := range t.Float64s() {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("%s: %s %d of sample %d is %g, want a finite number", path, what, i%d, i/d, v)
			}
		}
	}
	s.Kind, s.Count, s.features = Features, n, set
	return nil
}

// firstRows returns the first n rows of a matrix that may be missing.
func firstRows(t *tensor.Tensor, n int) *tensor.Tensor {
	if t == nil {
		return nil
	}
	return t.Rows(0, n)
}
