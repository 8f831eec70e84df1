package evaluate

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"ebm/internal/testkit"
)

func TestEigenvaluesAreGonums(t *testing.T) {
	multiplier, err := NewMultiplier(testkit.Open(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer multiplier.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 3, 31, 32, 33, 34, 64, 100, 150} {
		for _, rank := range []int{n, (n + 1) / 2} {
			x := mat.NewDense(n, rank, nil)
			for i := range n {
				for j := range rank {
					x.Set(i, j, r.NormFloat64()*math.Exp(-0.1*float64(j)))
				}
			}
			var a mat.Dense
			a.Mul(x, x.T())
			var want mat.EigenSym
			want.Factorize(mat.NewSymDense(n, mat.DenseCopyOf(&a).RawMatrix().Data), false)
			for _, m := range []*Multiplier{nil, multiplier} {
				got, err := eigenvalues(t.Context(), mat.DenseCopyOf(&a), m)
				if err != nil {
					t.Fatal(err)
				}
				for i, v := range want.Values(nil) {
					if off := math.Abs(got[i] - v); !(off <= 1e-14*want.Values(nil)[n-1]*math.Sqrt(float64(n))) {
						t.Errorf("%d×%d of rank %d: eigenvalue %d is %g, want %g", n, n, rank, i, got[i], v)
						break
					}
				}
			}
		}
	}
}
