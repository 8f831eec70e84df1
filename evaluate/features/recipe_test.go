package features

import (
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/graph"
	"ebm/models/inception"
	"ebm/models/tensor"
)

// What is cut off pictures that are no squares is what torchvision's CenterCrop and Pillow's crop leave out.
func TestCuts(t *testing.T) {
	for _, c := range []struct {
		cut           Cut
		height, width int
		side          int
		first         int // the value of the first pixel, of those that count rows and columns
	}{
		{CutBefore, 7, 4, 4, 10 * 1}, {CutBefore, 4, 9, 4, 2}, {CutAfter, 4, 9, 4, 2}, {CutAfter, 9, 4, 4, 10 * 2}, {CutAfter, 4, 7, 4, 2},
	} {
		x := tensor.New(tensor.Float32, 1, 1, c.height, c.width)
		for i := range x.Len() {
			tensor.Data[float32](x)[i] = float32(10*(i/c.width) + i%c.width)
		}
		g := graph.New("cut")
		y, err := shaped(g.Input("x", tensor.Float32, graph.Batch(1, c.height, c.width)), inception.Pillow, c.cut, c.side, c.side)
		if err != nil {
			t.Fatal(err)
		}
		g.Output("y", y)
		got := testkit.Interpret(t, g, map[string]*tensor.Tensor{"x": x})["y"]
		if got.Shape()[2] != c.side || got.Shape()[3] != c.side || got.Float64s()[0] != float64(c.first) {
			t.Errorf("%d×%d cut %s: %v that begin with %g, want %d×%d from %d on", c.height, c.width, c.cut, got, got.Float64s()[0], c.side, c.side,
				c.first)
		}
	}
	g := graph.New("cut")
	_, err := shaped(g.Input("x", tensor.Float32, graph.Batch(1, 5, 6)), inception.Pillow, CutAfter, 4, 3)
	testkit.WantError(t, "no square", err, "want a square")
}

func TestRecipes(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Recipes() {
		if seen[r.Name] || r.About == "" || (r.Layer == "") == (r.Range == "") {
			t.Errorf("%+v: a name twice, without words, or of no one network", r)
		}
		seen[r.Name] = true
	}
	_, err := FindRecipe("clip-")
	testkit.WantError(t, "an unknown name", err, strings.Join(RecipeNames(), ", "))
}
