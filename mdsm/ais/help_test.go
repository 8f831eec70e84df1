package ais

import (
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/hmc"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// estimator returns that of a network with some settings.
func estimator(t testing.TB, n energy.Network, w energy.Weights, set Settings, threads int) *Estimator {
	t.Helper()
	rt := testkit.Open(t, threads)
	f, err := hmc.NewFiles(n, w, set.Reference, set.Leapfrog)
	if err != nil {
		t.Fatal(err)
	}
	k, err := hmc.Load(rt, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	e, err := New(k, set)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// toy returns a known density by name.
func toy(t testing.TB, name string, dim int) energy.Density {
	t.Helper()
	d, err := energy.Toy(name, dim)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// draws returns exact draws [n Dim] of a density.
func draws(d energy.Density, n int, seed uint64) *tensor.Tensor {
	return energy.Draws(d, n, rng.New(seed))
}
