package probe

import (
	"slices"
	"testing"

	"ebm/evaluate/features"
	"ebm/models/tensor"
)

// Copies of training pictures are found as such, and pictures for the grid are
// the sample and its neighbours.
func TestNeighbourhoodFindsCopies(t *testing.T) {
	set := grainy("grain", 1300, side, 1)
	training := All(set)
	samples := tensor.Of(slices.Concat(set.Picture(600), set.Picture(1299), grainy("new", 1, side, 2).Pixels), 3, 1, side, side)
	space, err := NewSpace(t.Context(), features.NewPixels(), training, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := space.Around(t.Context(), samples, 4, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n.Copies != 2 || n.Index[0][0] != 600 || n.Index[1][0] != 1299 || !(n.Distance[2][0] > 0.5) || n.Median() != 0 {
		t.Errorf("%d copies, %v, %v", n.Copies, n.Index, n.Distance)
	}
	if two := n.Rows(2); two.Shape()[0] != 10 {
		t.Errorf("two rows are %v", two)
	}
	rows := n.Rows(7)
	if !slices.Equal(rows.Shape(), []int{15, 1, side, side}) {
		t.Fatalf("pictures %v, want 15", rows)
	}
	pixels := tensor.Data[uint8](rows)
	if !slices.Equal(pixels[10*d:11*d], tensor.Data[uint8](samples)[2*d:]) || !slices.Equal(pixels[11*d:12*d], set.Picture(n.Index[2][0])) {
		t.Error("the third row does not begin with the sample and its nearest")
	}
	if _, err := space.Around(t.Context(), All(grainy("wide", 9, 5, 1)), 2, nil); err == nil {
		t.Error("compared pictures of two sizes")
	}
}
