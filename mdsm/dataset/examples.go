package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"ebm/internal/files"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

// Examples are inputs of a model with targets, row by row: arrays, labelled
// pictures, or text.
type Examples struct {
	count  int
	fill   func(to map[string]*tensor.Tensor, index []int)
	hash   string
	Source string // what they are, for people
}

// ExamplesSpec says which examples to read.
type ExamplesSpec struct {
	// Path is an .npz file, a table (see ReadTable), a text (.txt), or a folder of
	// pictures in folders by class; or with Name, where the files of a data set are.
	Path string
	Name string // of a data set of labelled pictures, "" for none
	// Like has the tensors that examples are to fill, by the name of the model's
	// input: rows of a type and shape. Target names that of the targets.
	Like   map[string]*tensor.Tensor
	Target string
	// Mean and Deviation of pictures' channels, in units of [0, 1]: values are less the
	// first and divided by the second. None leaves them as they are.
	Mean, Deviation []float64
	Split           Split
	Log             func(line string)
}

// ReadExamples reads examples. Of an .npz, arrays go to inputs of their names, or
// where there is one input x or arr_0; the target is called target, y, label, labels
// or arr_1. Of a table, the last columns are the target. A text of bytes is cut into
// rows of ids, whose targets are the ids that follow.
func ReadExamples(ctx context.Context, s ExamplesSpec) (*Examples, error) {
	var e *Examples
	var err error
	switch ext := strings.ToLower(filepath.Ext(s.Path)); {
	case s.Name != "":
		e, err = s.pictures(ctx)
	case ext == ".npz":
		e, err = s.arrays()
	case ext == ".csv" || ext == ".tsv":
		e, err = s.table()
	case ext == ".txt":
		e, err = s.text()
	default:
		s.Name = "folder"
		e, err = s.pictures(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("examples %s: %w", s.Path, err)
	}
	return e, nil
}

// Len returns their number.
func (e *Examples) Len() int { return e.count }

// Hash returns the SHA-256, in hexadecimal, of what they hold.
func (e *Examples) Hash() string { return e.hash }

// Fill writes the examples with the given numbers to the rows of tensors.
func (e *Examples) Fill(to map[string]*tensor.Tensor, index []int) { e.fill(to, index) }

// Choose returns those with the given numbers.
func (e *Examples) Choose(numbers []int) *Examples {
	return &Examples{count: len(numbers), hash: e.hash, Source: e.Source, fill: func(to map[string]*tensor.Tensor, index []int) {
		chosen := make([]int, len(index))
		for i, at := range index {
			chosen[i] = numbers[at]
		}
		e.fill(to, chosen)
	}}
}

// input returns the name of the only input beside the target.
func (s ExamplesSpec) input() (string, error) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(s.Like)), func(n string) bool { return n == s.Target })
	if len(names) != 1 {
		return "", fmt.Errorf("the model's inputs are %v, want one, or an .npz with an array for each", names)
	}
	return names[0], nil
}

// arrays reads an .npz.
func (s ExamplesSpec) arrays() (*Examples, error) {
	all, err := npz.ReadFile(s.Path)
	if err != nil {
		return nil, err
	}
	rows := make(map[string]*tensor.Tensor)
	for name := range s.Like {
		names := []string{name}
		if only, err := s.input(); err == nil && name == only {
			names = append(names, "x", "arr_0")
		} else if name == s.Target {
			names = append(names, "y", "label", "labels", "arr_1")
		}
		at := slices.IndexFunc(names, func(n string) bool { return all[n] != nil })
		if at < 0 {
			return nil, fmt.Errorf("it has the arrays %v, want one called %s", slices.Sorted(maps.Keys(all)), strings.Join(names, " or "))
		}
		rows[name] = all[names[at]]
	}
	return s.of(rows)
}

// of makes examples of arrays [N …].
func (s ExamplesSpec) of(rows map[string]*tensor.Tensor) (*Examples, error) {
	n, first := -1, ""
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		t, like := rows[name], s.Like[name]
		if t.Rank() == 0 || t.Len() == 0 || !sameRow(t.Shape()[1:], like.Shape()[1:]) {
			return nil, fmt.Errorf("%s is %v, want rows of %v", name, t, like.Shape()[1:])
		}
		if n < 0 {
			n, first = t.Shape()[0], name
		} else if n != t.Shape()[0] {
			return nil, fmt.Errorf("%d rows of %s and %d of %s, want as many", n, first, t.Shape()[0], name)
		}
		var err error
		if rows[name], err = as(t, like.DType()); err != nil {
			return nil, fmt.Errorf("%s is %w", name, err)
		}
		fmt.Fprintf(h, "%s %v\n", name, rows[name])
		_ = npz.WriteElements(h, rows[name]) // a hash takes all
	}
	return &Examples{count: n, hash: hex.EncodeToString(h.Sum(nil)), Source: s.Path, fill: func(to map[string]*tensor.Tensor, index []int) {
		for name, t := range to {
			if from := rows[name]; from != nil {
				for k, i := range index {
					t.Rows(k, k+1).CopyFrom(from.Rows(i, i+1).Reshape(t.Rows(k, k+1).Shape()...))
				}
			}
		}
	}}, nil
}

// sameRow reports whether rows have equal shapes but for axes of one element.
func sameRow(a, b []int) bool {
	one := func(n int) bool { return n == 1 }
	return slices.Equal(slices.DeleteFunc(slices.Clone(a), one), slices.DeleteFunc(slices.Clone(b), one))
}

// as returns t with elements of another type: floating-point numbers of any, and
// whole numbers of whole ones.
func as(t *tensor.Tensor, dtype tensor.DType) (*tensor.Tensor, error) {
	switch {
	case t.DType() == dtype:
		return t, nil
	case dtype == tensor.Float32:
		return t.AsFloat32(), nil
	case dtype != tensor.Int64 || t.DType() == tensor.Float16 || t.DType() == tensor.BFloat16:
		return nil, fmt.Errorf("%v, want %v", t, dtype)
	}
	out := tensor.New(tensor.Int64, t.Shape()...)
	for i, v := range t.Float64s() {
		whole := int64(v)
		if float64(whole) != v {
			return nil, fmt.Errorf("%g in row %d, want whole numbers", v, i/(t.Len()/t.Shape()[0]))
		}
		tensor.Data[int64](out)[i] = whole
	}
	return out, nil
}

// table reads a table, whose last columns are the target.
func (s ExamplesSpec) table() (*Examples, error) {
	name, err := s.input()
	if err != nil {
		return nil, err
	}
	t, err := ReadTable(s.Path)
	if err != nil {
		return nil, err
	}
	n, columns := t.Rows.Shape()[0], t.Rows.Shape()[1]
	d, k := s.Like[name].Len()/s.Like[name].Shape()[0], s.Like[s.Target].Len()/s.Like[s.Target].Shape()[0]
	if columns != d+k {
		return nil, fmt.Errorf("%d columns, want %d of the input and %d of the target behind them", columns, d, k)
	}
	x, y := tensor.New(tensor.Float32, n, d), tensor.New(tensor.Float32, n, k)
	values := tensor.Data[float32](t.Rows)
	for i := range n {
		copy(tensor.Data[float32](x)[i*d:], values[i*columns:i*columns+d])
		copy(tensor.Data[float32](y)[i*k:], values[i*columns+d:(i+1)*columns])
	}
	return s.of(map[string]*tensor.Tensor{
		name:     x.Reshape(append([]int{n}, s.Like[name].Shape()[1:]...)...),
		s.Target: y.Reshape(append([]int{n}, s.Like[s.Target].Shape()[1:]...)...),
	})
}

// text reads bytes as ids.
func (s ExamplesSpec) text() (*Examples, error) {
	name, err := s.input()
	if err != nil {
		return nil, err
	}
	like, target := s.Like[name], s.Like[s.Target]
	if like.Rank() != 2 || like.DType() != tensor.Int64 || !slices.Equal(target.Shape(), like.Shape()) {
		return nil, fmt.Errorf("%s is %v and the target %v, want int64 ids [N T] for a text", name, like, target)
	}
	b, err := files.ReadFile(s.Path)
	if err != nil {
		return nil, err
	}
	length := like.Shape()[1]
	n := (len(b) - 1) / length
	if n < 1 {
		return nil, fmt.Errorf("%d bytes, want more than the %d of a row", len(b), length)
	}
	hash := fmt.Sprintf("%x", sha256.Sum256(b))
	return &Examples{count: n, hash: hash, Source: s.Path, fill: func(to map[string]*tensor.Tensor, index []int) {
		for k, i := range index {
			for j := range length {
				tensor.Data[int64](to[name])[k*length+j] = int64(b[i*length+j])
				tensor.Data[int64](to[s.Target])[k*length+j] = int64(b[i*length+j+1])
			}
		}
	}}, nil
}

// pictures reads labelled pictures.
func (s ExamplesSpec) pictures(ctx context.Context) (*Examples, error) {
	name, err := s.input()
	if err != nil {
		return nil, err
	}
	like, target := s.Like[name], s.Like[s.Target]
	if like.Rank() != 4 || like.DType() != tensor.Float32 || target.Rank() != 1 || target.DType() != tensor.Int64 {
		return nil, fmt.Errorf("%s is %v and the target %v, want pictures [N C H W] and int64 labels [N]", name, like, target)
	}
	channels, size := like.Shape()[1], like.Shape()[2]
	set, err := Load(ctx, Spec{Name: s.Name, Dir: s.Path, Split: s.Split, Size: size, Channels: channels, Log: s.Log})
	if err != nil {
		return nil, err
	}
	if !slices.Equal(set.Shape(), like.Shape()[1:]) || len(set.Labels) != set.Len() {
		return nil, fmt.Errorf("%d pictures of %v with %d labels, want %v, each in the folder of its class", set.Len(), set.Shape(),
			len(set.Labels), like.Shape()[1:])
	}
	for what, list := range map[string][]float64{"means": s.Mean, "deviations": s.Deviation} {
		if len(list) != 0 && len(list) != channels {
			return nil, fmt.Errorf("%d %s of channels, want %d", len(list), what, channels)
		}
	}
	pixels := size * size
	return &Examples{count: set.Len(), hash: set.Hash(), Source: fmt.Sprintf("%s, %d classes", s.Path, len(set.Classes)),
		fill: func(to map[string]*tensor.Tensor, index []int) {
			x := tensor.Data[float32](to[name])
			set.Fill(x, index)
			for i := range x {
				c := i / pixels % channels
				if len(s.Mean) > 0 {
					x[i] -= float32(s.Mean[c])
				}
				if len(s.Deviation) > 0 {
					x[i] /= float32(s.Deviation[c])
				}
			}
			for k, i := range index {
				tensor.Data[int64](to[s.Target])[k] = int64(set.Labels[i])
			}
		}}, nil
}
