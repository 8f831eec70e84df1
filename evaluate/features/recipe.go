package features

import (
	"fmt"
	"math"
	"strings"

	"ebm/models/graph"
	"ebm/models/inception"
)

// Cut says what is cut off a picture that is no square.
type Cut string

// The cuts.
const (
	CutNone   Cut = ""       // nothing: height and width are scaled by themselves
	CutBefore Cut = "before" // to the middle square, which is then resized
	CutAfter  Cut = "after"  // the shorter side is brought to its length, and the middle of the longer taken
)

// Recipe is how a program of the field takes features: what is done to pictures, and in which network.
type Recipe struct {
	Name       string
	About      string               // whose numbers it gives
	Range      InputRange           // of an ONNX file; "" for the Inception network
	Convention inception.Convention // how pictures are resized
	Size       int                  // that an ONNX file with an open size takes
	Cut        Cut
	Layer      string // of the Inception network
	Frechet    string // what the Fréchet distance of these features is called, "" for no name of its own
}

// Recipes returns all recipes. Those of ONNX files are for files that users export.
func Recipes() []Recipe {
	all := []Recipe{
		{"clip", "torch-fidelity's clip-* networks", RangeCLIP, inception.TF, 224, CutNone, "", ""},
		{"clip-fid", "clean-fid's CLIP-FID: CLIP ViT-B/32", RangeCLIP, inception.Pillow, 224, CutAfter, "", "clip_fid"},
		{"cmmd", "CMMD: CLIP ViT-L/14 at 336 pixels", RangeCLIP, inception.Pillow, 336, CutBefore, "", ""},
		{"dinov2", "torch-fidelity's dinov2-* networks", RangeImageNet, inception.TF, 224, CutNone, "", ""},
		{"fd-dinov2", "FD_DINOv2 of dgm-eval: DINOv2 ViT-L/14", RangeImageNet, inception.Pillow, 224, CutNone, "", "fd_dinov2"},
		{"vgg16", "torch-fidelity's vgg16, whose features are fc2_relu", RangeImageNet, inception.TF, 224, CutNone, "", ""},
	}
	for _, layer := range inception.Layers() {
		r := Recipe{Name: "inception-" + layer, About: "torch-fidelity's Inception features " + layer, Convention: inception.TF, Layer: layer}
		if layer == inception.Spatial {
			r.About, r.Frechet = "sFID: Inception features that keep their places", "sfid"
		}
		all = append(all, r)
	}
	return all
}

// RecipeNames returns the names of all recipes.
func RecipeNames() []string {
	var names []string
	for _, r := range Recipes() {
		names = append(names, r.Name)
	}
	return names
}

// FindRecipe returns the recipe of a name.
func FindRecipe(name string) (Recipe, error) {
	for _, r := range Recipes() {
		if r.Name == name {
			return r, nil
		}
	}
	return Recipe{}, fmt.Errorf("recipe %q, want one of %s", name, strings.Join(RecipeNames(), ", "))
}

// shaped brings pictures x [N C H W] from 0 to 255 to height and width.
func shaped(x *graph.Node, c inception.Convention, cut Cut, height, width int) (*graph.Node, error) {
	size := graph.Spatial(x)
	if cut == CutNone || size[0] == size[1] && height == width {
		return inception.Resize(x, c, height, width)
	}
	if height != width {
		return nil, fmt.Errorf("a network of pictures %d×%d, want a square for the middle of pictures", height, width)
	}
	middle := func(x *graph.Node, axis, from, side int) *graph.Node { return graph.Slice(x, axis, from, from+side, 1) }
	if cut == CutBefore {
		side := min(size[0], size[1])
		x = middle(middle(x, 2, (size[0]-side)/2, side), 3, (size[1]-side)/2, side)
		return inception.Resize(x, c, height, width)
	}
	// As torchvision's Resize and CenterCrop round.
	high, wide := height, width
	if size[0] > size[1] {
		high = width * size[0] / size[1]
	} else {
		wide = height * size[1] / size[0]
	}
	y, err := inception.Resize(x, c, high, wide)
	if err != nil {
		return nil, err
	}
	from := func(all, side int) int { return int(math.RoundToEven(float64(all-side) / 2)) }
	return middle(middle(y, 2, from(high, height), height), 3, from(wide, width), width), nil
}
