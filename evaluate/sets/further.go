package sets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"ebm/evaluate"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// memorized computes MiFID: the Fréchet distance over the mean angle to the nearest real sample, where that is small.
func (r *run) memorized(ctx context.Context) ([]Value, error) {
	if err := r.pair(); err != nil {
		return nil, err
	}
	distance, err := r.multiplier.Frechet(ctx, r.samples.statistics, r.reference.statistics)
	if err != nil {
		return nil, err
	}
	got, err := evaluate.Memorization(ctx, r.samples.features, r.reference.features, r.multiplier, r.o.Progress)
	if err != nil {
		return nil, err
	}
	return []Value{{
		Quantity: MemorizedMeasure, Value: distance.Distance * got.Penalty(), Warnings: distance.Warnings,
		Parts: map[string]float64{"distance": distance.Distance, "memorization": got.Distance, "memorization_of_reference": got.Reverse},
	}}, nil
}

func (r *run) diversity(ctx context.Context) ([]Value, error) {
	if r.samples.features == nil {
		return nil, missing{fmt.Errorf("%s has statistics alone", r.samples.source.Name)}
	}
	v, err := evaluate.Vendi(ctx, r.samples.features, r.multiplier)
	if err != nil {
		return nil, err
	}
	return []Value{{Quantity: VendiScore, Value: v}}, nil
}

func (r *run) meanDistance(ctx context.Context) ([]Value, error) {
	if err := r.pair(); err != nil {
		return nil, err
	}
	v, err := evaluate.CMMD(ctx, r.samples.features, r.reference.features, r.multiplier, r.o.Progress)
	if err != nil {
		return nil, err
	}
	return []Value{{Quantity: MeanDiscrepancy, Value: v}}, nil
}

// classes computes the Fréchet and the kernel distance of each class that both sides have, and their means.
func (r *run) classes(ctx context.Context) ([]Value, error) {
	if err := r.pair(); err != nil {
		return nil, err
	}
	a, b := r.samples.source, r.reference.source
	for _, s := range []*Source{a, b} {
		if s.Labels == nil {
			return nil, missing{fmt.Errorf("%s has no classes, want folders of classes, a data set with labels or an array called labels", s.Name)}
		}
	}
	names := slices.Compact(slices.Sorted(slices.Values(a.Labels)))
	theirs := slices.Compact(slices.Sorted(slices.Values(b.Labels)))
	both := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(theirs, name) })
	if len(both) == 0 {
		return nil, missing{fmt.Errorf("%s has the classes %.100q and %s the classes %.100q, want some of the same names",
			a.Name, names, b.Name, theirs)}
	}
	if len(both) < len(names) || len(both) < len(theirs) {
		r.warn("%d classes are on both sides, of %d of the samples and %d of the reference", len(both), len(names), len(theirs))
	}
	stage := progress.Begin(r.o.Progress, "classes", int64(len(both)), "classes")
	defer stage.Done()
	var frechet, kernel []Value
	for _, name := range both {
		x, y := ofClass(r.samples.features, a.Labels, name), ofClass(r.reference.features, b.Labels, name)
		if n := min(x.Shape()[0], y.Shape()[0]); n < 4 {
			return nil, fmt.Errorf("class %s: %d samples, want 4 or more a side", name, n)
		}
		sx, err := r.multiplier.StatisticsOf(x)
		if err != nil {
			return nil, err
		}
		sy, err := r.multiplier.StatisticsOf(y)
		if err != nil {
			return nil, err
		}
		distance, err := r.multiplier.Frechet(ctx, sx, sy)
		if err != nil {
			return nil, fmt.Errorf("class %s: %w", name, err)
		}
		frechet = append(frechet, Value{Quantity: FrechetDistance, Value: distance.Distance, Warnings: distance.Warnings})
		one, err := r.kernelOf(ctx, x, y)
		if err != nil {
			return nil, fmt.Errorf("class %s: %w", name, err)
		}
		kernel = append(kernel, one)
		for _, list := range [][]Value{frechet, kernel} {
			v := &list[len(list)-1]
			v.Variant, v.Class, v.Samples, v.Reference = OfClass, name, x.Shape()[0], y.Shape()[0]
		}
		stage.Add(1)
	}
	values := append(slices.Clone(frechet), kernel...)
	for _, list := range [][]Value{frechet, kernel} {
		mean := Value{Quantity: list[0].Quantity, Variant: OfAll, Warnings: list[0].Warnings}
		for _, v := range list {
			mean.Value += v.Value / float64(len(list))
		}
		values = append(values, mean)
	}
	return values, nil
}

// balance compares how often the network of the features finds each class. Its parts are the
// degrees of freedom, the probability of such a χ² or a larger one where the classes are as
// frequent on both sides, and the pictures of each class.
func (r *run) balance(context.Context) ([]Value, error) {
	if r.reference == nil {
		return nil, missing{errors.New("it needs a reference")}
	}
	var logits []*tensor.Tensor
	for _, s := range []*side{r.samples, r.reference} {
		of := cmp.Or(s.classes, s.logits)
		if of == nil {
			return nil, missing{fmt.Errorf("%s has no logits", s.source.Name)}
		}
		logits = append(logits, of)
	}
	b, err := evaluate.ClassBalance(logits[0], logits[1])
	if err != nil {
		return nil, err
	}
	v := Value{Quantity: BalanceTest, Value: b.ChiSquared, Parts: map[string]float64{"freedom": float64(b.Freedom), "p": b.P}}
	for class := range b.Samples {
		v.Parts[fmt.Sprintf("samples_%d", class)] = float64(b.Samples[class])
		v.Parts[fmt.Sprintf("reference_%d", class)] = float64(b.Reference[class])
	}
	return []Value{v}, nil
}

// ofClass returns the rows of a class.
func ofClass(all *tensor.Tensor, labels []string, name string) *tensor.Tensor {
	var rows []*tensor.Tensor
	for i := range all.Shape()[0] {
		if labels[i] == name {
			rows = append(rows, all.Rows(i, i+1))
		}
	}
	return tensor.Concat(rows...)
}

// labelsOf returns an array of labels as text, nil for none.
func labelsOf(t *tensor.Tensor, n int) ([]string, error) {
	if t == nil {
		return nil, nil
	}
	if t.DType().IsFloat() || t.Len() != n {
		return nil, fmt.Errorf("labels are %v, want %d whole numbers", t, n)
	}
	labels := make([]string, n)
	for i, v := range t.Float64s() {
		labels[i] = fmt.Sprint(int64(v))
	}
	return labels, nil
}
