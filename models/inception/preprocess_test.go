package inception

import (
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// golden returns what testdata/make_golden.py wrote.
func golden(t *testing.T) map[string]*tensor.Tensor {
	t.Helper()
	all := testkit.Arrays(t, "testdata/golden.npz")
	maps.Copy(all, testkit.Arrays(t, "testdata/layers.npz"))
	return all
}

// Pictures that grow, shrink, keep their size, have odd sizes and a single row.
func TestPreprocessingIsThatOfPeers(t *testing.T) {
	testkit.Long(t)
	want := golden(t)
	sizes := tensor.Data[int64](want["sizes"])
	for _, c := range Conventions() {
		reference := want["preprocess_"+string(c)].Float64s()
		for k := range len(sizes) / 2 {
			height, width := int(sizes[2*k]), int(sizes[2*k+1])
			g := graph.New("preprocess")
			x := g.Input("x", tensor.Float32, graph.Batch(3, height, width))
			y, err := Preprocess(x, c)
			if err != nil {
				t.Fatal(err)
			}
			g.Output("y", y)
			picture := tensor.New(tensor.Float32, 1, 3, height, width)
			u := uniform(fmt.Sprintf("picture %d", k))
			for i := range picture.Len() {
				tensor.Data[float32](picture)[i] = float32(math.Floor(256 * u(i)))
			}
			out := testkit.Interpret(t, g, map[string]*tensor.Tensor{"x": picture})
			got := out["y"].Float64s()
			worst, i := 0.0, k*3*11*11
			for channel := range 3 {
				for row := 4; row < Size; row += 29 {
					for column := 4; column < Size; column += 29 {
						worst = max(worst, math.Abs(got[(channel*Size+row)*Size+column]-reference[i]))
						i++
					}
				}
			}
			t.Logf("%s of %d×%d is off by %.2g", c, height, width, worst)
			if !(worst < 5e-7) { // of a range of 2, where float32 has steps of 1.2e-7
				t.Errorf("%s of %d×%d is off by %.2g, want 5e-7 at most", c, height, width, worst)
			}
		}
	}
}

// The same for another size, as other networks take it.
func TestResizingIsThatOfPeers(t *testing.T) {
	want := golden(t)
	sizes := tensor.Data[int64](want["sizes"])
	const toHeight, toWidth = 23, 40
	for _, c := range Conventions() {
		reference, i := want["resize_"+string(c)].Float64s(), 0
		for k := range len(sizes) / 2 {
			height, width := int(sizes[2*k]), int(sizes[2*k+1])
			g := graph.New("resize")
			y, err := Resize(g.Input("x", tensor.Float32, graph.Batch(3, height, width)), c, toHeight, toWidth)
			if err != nil {
				t.Fatal(err)
			}
			g.Output("y", y)
			picture := tensor.New(tensor.Float32, 1, 3, height, width)
			u := uniform(fmt.Sprintf("picture %d", k))
			for i := range picture.Len() {
				tensor.Data[float32](picture)[i] = float32(math.Floor(256 * u(i)))
			}
			out := testkit.Interpret(t, g, map[string]*tensor.Tensor{"x": picture})
			got, worst := out["y"].Float64s(), 0.0
			for plane := range 3 {
				for row := 0; row < toHeight; row += 4 {
					for column := 0; column < toWidth; column += 8 {
						worst = max(worst, math.Abs(got[(plane*toHeight+row)*toWidth+column]-reference[i]))
						i++
					}
				}
			}
			t.Logf("%s of %d×%d is off by %.2g", c, height, width, worst)
			if !(worst < 7e-5) { // of a range of 255, where float32 has steps of 1.5e-5
				t.Errorf("%s of %d×%d is off by %.2g, want 7e-5 at most", c, height, width, worst)
			}
		}
	}
	x := graph.New("wrong").Input("x", tensor.Float32, graph.Batch(3, 8, 8))
	for _, size := range []int{0, 1<<14 + 1} {
		if _, err := Resize(x, TF, size, 8); err == nil {
			t.Errorf("a height of %d: no error", size)
		}
	}
}

func TestPreprocessingErrors(t *testing.T) {
	g := graph.New("wrong")
	for _, test := range []struct {
		x          *graph.Node
		convention Convention
		want       string
	}{
		{g.Input("a", tensor.Float32, graph.Batch(3, 8, 8)), "best", `preprocessing "best", want one of [pytorch-fid tf clean pillow]`},
		{g.Input("b", tensor.Float32, graph.Batch(1, 8, 8)), TF, "want float32[N 3 H W]"},
		{g.Input("c", tensor.Uint8, graph.Batch(3, 8, 8)), TF, "want float32[N 3 H W]"},
		{g.Input("d", tensor.Float32, graph.Shape{graph.Sym("N"), graph.Const(3), graph.Sym("H"), graph.Const(8)}), TF,
			"constant spatial dimensions"},
	} {
		if _, err := Preprocess(test.x, test.convention); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}
