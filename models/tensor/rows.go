package tensor

import (
	"fmt"
	"reflect"
	"slices"
)

// Rows returns the part of t from row lo to before row hi of its first axis,
// [hi−lo …], which shares t's elements. It panics when t has no such rows.
func (t *Tensor) Rows(lo, hi int) *Tensor {
	if t.Rank() == 0 || lo < 0 || hi < lo || hi > t.shape[0] {
		panic(fmt.Sprintf("tensor: %v has no rows %d to %d", t, lo, hi))
	}
	each := Volume(t.shape[1:])
	shape := slices.Clone(t.shape)
	shape[0] = hi - lo
	return &Tensor{dtype: t.dtype, shape: shape, data: reflect.ValueOf(t.data).Slice(lo*each, hi*each).Interface()}
}

// Concat returns the rows of tensors that differ in their number alone, one
// after the other, as a copy. It panics when they differ otherwise, or when
// there are none.
func Concat(parts ...*Tensor) *Tensor {
	if len(parts) == 0 {
		panic("tensor: nothing to join")
	}
	shape := slices.Clone(parts[0].shape)
	shape[0] = 0
	for _, p := range parts {
		if p.dtype != parts[0].dtype || p.Rank() != len(shape) || !slices.Equal(p.shape[1:], shape[1:]) {
			panic(fmt.Sprintf("tensor: cannot join %v and %v", parts[0], p))
		}
		shape[0] += p.shape[0]
	}
	all, at := New(parts[0].dtype, shape...), 0
	for _, p := range parts {
		all.Rows(at, at+p.shape[0]).CopyFrom(p)
		at += p.shape[0]
	}
	return all
}
