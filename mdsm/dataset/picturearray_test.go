package dataset

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/models/tensor"
)

// A training reads the pictures of an array as those of a folder.
func TestArrayAsADataSet(t *testing.T) {
	zipped, _, want := archived(t)
	folder, err := Load(t.Context(), Spec{Name: "folder", Dir: zipped, Size: 2})
	if err != nil {
		t.Fatal(err)
	}
	// Whole numbers have their channels first where both could be meant.
	numbers := tensor.New(tensor.Int64, 6, 3, 2, 3)
	for i, v := range want {
		tensor.Data[int64](numbers)[i] = int64(v)
	}
	array := filepath.Join(t.TempDir(), "a.npy")
	f, err := os.Create(array)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := npz.WriteNpy(f, numbers); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 2} {
		set, err := Load(t.Context(), Spec{Name: "folder", Dir: array, Size: size})
		if err != nil {
			t.Fatal(err)
		}
		same := want
		if size == 2 {
			same = folder.Pixels
		}
		if set.Len() != 6 || set.Channels != 3 || !bytes.Equal(set.Pixels, same) {
			t.Errorf("size %d: %d pictures of %d channels, or other pixels", size, set.Len(), set.Channels)
		}
	}
	if IsPoints(array) || !IsPoints("points.csv") || IsPoints("none.pt") || !IsPoints("none.npy") {
		t.Error("pictures are points, or points are none")
	}
	_, err = Load(t.Context(), Spec{Name: "folder", Dir: array, Split: Test})
	testkit.WantError(t, "a split", err, array, "no split called test")
}
