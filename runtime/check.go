package runtime

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"ebm/models/tensor"
)

// maxPreallocated bounds the memory that is set aside for an output because
// the model's file says so; larger ones are left to ONNX Runtime.
const maxPreallocated = 4 << 30

// symbols holds the sizes that the named dimensions of a model have in one
// run, and the value that gave each of them.
type symbols map[string]symbol

type symbol struct {
	size int
	from string
}

// checkAll returns the tensors of given in the order of infos. Names must be
// the same on both sides, and every tensor must fit its description.
func checkAll(role string, infos []ValueInfo, given map[string]*tensor.Tensor, sizes symbols) ([]*tensor.Tensor, error) {
	ordered := make([]*tensor.Tensor, len(infos))
	for i, info := range infos {
		t := given[info.Name]
		if t == nil {
			return nil, &ValueError{Role: role, Name: info.Name, Got: "nothing", Want: info.String()}
		}
		if err := check(role, info, t, sizes); err != nil {
			return nil, err
		}
		ordered[i] = t
	}
	if len(given) == len(infos) {
		return ordered, nil
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.ContainsFunc(infos, func(v ValueInfo) bool { return v.Name == name }) {
			return nil, &ValueError{Role: role, Name: name, Got: fmt.Sprintf("%v", given[name]),
				Want: "only the " + role + "s of the model: " + names(infos)}
		}
	}
	return ordered, nil
}

// names lists the names of infos, at most ten of them.
func names(infos []ValueInfo) string {
	if len(infos) == 0 {
		return "none"
	}
	var list []string
	for i, v := range infos {
		if i == 10 {
			list = append(list, fmt.Sprintf("and %d more", len(infos)-i))
			break
		}
		list = append(list, v.Name)
	}
	return strings.Join(list, ", ")
}

// check compares t with info. A named dimension must have one size in all the
// values of a run.
func check(role string, info ValueInfo, t *tensor.Tensor, sizes symbols) error {
	wrong := func(why string) error {
		return &ValueError{Role: role, Name: info.Name, Got: t.String(), Want: info.String() + why}
	}
	if t.DType() != info.DType {
		return wrong("")
	}
	if info.Shape == nil {
		return nil
	}
	if t.Rank() != len(info.Shape) {
		return wrong("")
	}
	for i, got := range t.Shape() {
		want, name := info.Shape[i], info.Symbols[i]
		switch {
		case want >= 0 && got != want:
			return wrong("")
		case want >= 0 || name == "":
			continue
		}
		seen, ok := sizes[name]
		if !ok {
			sizes[name] = symbol{got, info.Name}
		} else if seen.size != got {
			return wrong(fmt.Sprintf(" with %s = %d as in %q", name, seen.size, seen.from))
		}
	}
	return nil
}

// resolve returns the shape of info when every dimension is fixed or named
// with a known size, and the elements fit in maxPreallocated bytes.
func resolve(info ValueInfo, sizes symbols) (shape []int, ok bool) {
	if info.Shape == nil {
		return nil, false
	}
	shape = slices.Clone(info.Shape)
	for i, d := range shape {
		if d >= 0 {
			continue
		}
		s, known := sizes[info.Symbols[i]]
		if !known {
			return nil, false
		}
		shape[i] = s.size
	}
	return shape, byteSize(info.DType, shape) <= maxPreallocated
}

// byteSize returns the size of a tensor of at least one element in every
// dimension, at most math.MaxInt.
func byteSize(dtype tensor.DType, shape []int) int {
	n := max(dtype.Size(), 1)
	for _, d := range shape {
		if d > 0 && n > math.MaxInt/d {
			return math.MaxInt
		}
		n *= max(d, 1)
	}
	return n
}
