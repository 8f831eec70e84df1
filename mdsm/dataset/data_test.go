package dataset

import (
	"slices"
	"testing"

	"ebm/models/tensor"
)

func TestRowsAndParts(t *testing.T) {
	x := tensor.Of([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 4, 2)
	data, err := Rows(x)
	if err != nil || data.Len() != 4 || !slices.Equal(data.Shape(), []int{2}) {
		t.Fatalf("%v, error %v", data, err)
	}
	rest, err := Part(data, 1, 4)
	if err != nil {
		t.Fatal(err)
	}
	if got := tensor.Data[float32](Tensor(rest, []int{2, 0})); !slices.Equal(got, []float32{7, 8, 3, 4}) {
		t.Errorf("rows 3 and 1 are %v", got)
	}
	if all := Tensor(rest, nil); all.String() != "float32[3 2]" || tensor.Data[float32](all)[0] != 3 {
		t.Errorf("all of the part is %v", all)
	}
	other, _ := Rows(tensor.Of([]float32{1, 2, 3, 4, 5, 6, 7, 9}, 4, 2))
	same, _ := Rows(x.Clone())
	hash := func(d Data) string { return d.(interface{ Hash() string }).Hash() }
	if hash(data) != hash(same) || hash(data) == hash(other) {
		t.Error("the hash is not one of the values")
	}
	for _, bad := range []*tensor.Tensor{tensor.New(tensor.Float64, 2, 2), tensor.New(tensor.Float32, 3), tensor.New(tensor.Float32, 0, 2)} {
		if _, err := Rows(bad); err == nil {
			t.Errorf("%v are rows", bad)
		}
	}
	for _, r := range [][2]int{{-1, 2}, {2, 2}, {3, 5}} {
		if _, err := Part(data, r[0], r[1]); err == nil {
			t.Errorf("%v is a part", r)
		}
	}
}
