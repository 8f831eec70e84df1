package energy_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/models/weights"
)

func TestRecogniseFindsUNets(t *testing.T) {
	for _, want := range []energy.UNet{
		{Channels: 1, Dim: 2, Size: 8, Head: energy.Quadratic},
		{Channels: 3, Dim: 4, Size: 16, Multipliers: []int{1, 2, 3, 4}, Blocks: 2, Head: energy.LinearSum},
		{Channels: 1, Dim: 8, Size: 5, Multipliers: []int{1}, Head: energy.Quadratic},
		{Channels: 3, Dim: 2, Multipliers: []int{2, 3}, Head: energy.Residual}, // of any size
	} {
		got, err := energy.Recognise(energy.Init(want, rng.New(1)))
		if err != nil || !reflect.DeepEqual(got.Plan(), want.Plan()) {
			t.Errorf("recognised %v (%v), want %v", got, err, want)
		}
	}
}

func TestRecogniseSaysWhatIsNoUNet(t *testing.T) {
	n := energy.UNet{Channels: 1, Dim: 2, Size: 8}
	for what, change := range map[string]func(energy.Weights){
		"missing mid.1.qkv.weight [12 4 1 1]": func(w energy.Weights) { delete(w, "mid.1.qkv.weight") },
		"up.1.0.conv1.weight has shape [9 9], want [4 4 3 3]": func(w energy.Weights) {
			w["up.1.0.conv1.weight"] = tensor.New(tensor.Float32, 9, 9)
		},
		"unexpected down.0.0.norm2.weight [2]": func(w energy.Weights) {
			w["down.0.0.norm2.weight"] = tensor.New(tensor.Float32, 2)
		},
		"want down.0.0.conv2.weight": func(w energy.Weights) { delete(w, "down.0.0.conv2.weight") },
		"conv_in.weight is float32[0 1 3 3], without elements": func(w energy.Weights) {
			w["conv_in.weight"] = tensor.New(tensor.Float32, 0, 1, 3, 3)
		},
	} {
		w := energy.Init(n, rng.New(1))
		change(w)
		if got, err := energy.Recognise(w); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("recognised %v, error %v, want %q", got, err, what)
		}
	}
}

// A training script's checkpoint has the network below a prefix, and more beside it.
func TestFindTakesAUNetOutOfACheckpoint(t *testing.T) {
	n := energy.UNet{Channels: 1, Dim: 4, Size: 8, Multipliers: []int{1, 2}, Head: energy.Residual}
	set := new(weights.Set)
	for name, value := range energy.Init(n, rng.New(1)) {
		set.Add("model.module."+name, value)
	}
	set.Add("optimizer.step", tensor.Of([]float32{3}))
	path := filepath.Join(t.TempDir(), "checkpoint.pt")
	if err := weights.Save(path, set); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found, err := energy.Find(f, "", "")
	if err != nil {
		t.Fatal(err)
	}
	const want = "unet dim 4, multipliers 1,2, 1×any size, residual head, elu"
	if got := found.Network.String(); got != want || found.Set.Len() != len(n.Parameters()) {
		t.Errorf("found %s with %d tensors", got, found.Set.Len())
	}
}

func TestUNetValidates(t *testing.T) {
	for _, c := range []struct {
		net  energy.UNet
		want string
	}{
		{energy.UNet{Channels: 1, Dim: 4, Size: 6}, "unet of pictures of size 6, want a multiple of 4, which it can halve 2 times"},
		{energy.UNet{Channels: 1, Dim: 4, Size: 8, Multipliers: []int{1, 0}}, "multipliers [1 0], want"},
		{energy.UNet{Channels: 1, Dim: 4, Size: 8, Multipliers: make([]int, 99)}, "want 1 to 16 positive numbers"},
		{energy.UNet{Channels: 1, Dim: 4, Size: 8, Blocks: -1}, "-1 blocks a level, want a positive number"},
		{energy.UNet{Channels: 1, Size: 8}, "dim 0"},
		{energy.UNet{Channels: 1, Dim: 4, Size: 8, Head: "cubic"}, `unknown head "cubic" of unet, want one of [quadratic linear residual]`},
		{energy.UNet{Channels: 1, Dim: 4, Size: 8, Activation: "gelu"}, `unknown activation "gelu"`},
	} {
		if err := c.net.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q", c.net, err, c.want)
		}
	}
	if err := (energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 8, Head: energy.Residual}).Validate(); err == nil {
		t.Error("a residual network has a residual head")
	}
}

func TestInitBeginsNormalisationsAtTheIdentity(t *testing.T) {
	w := energy.Init(energy.UNet{Channels: 1, Dim: 4, Size: 8}, rng.New(1))
	for name, want := range map[string]float64{"down.1.0.norm.weight": 1, "mid.1.norm.weight": 1, "down.1.0.norm.bias": 0} {
		for _, v := range w[name].Float64s() {
			if v != want {
				t.Errorf("%s begins at %g, want %g", name, v, want)
			}
		}
	}
}

// A residual head's energy has no parameters that depend on the size, and is that of every
// picture by itself.
func TestResidualHeadTakesAnySize(t *testing.T) {
	small := energy.UNet{Channels: 1, Dim: 2, Size: 4, Multipliers: []int{1, 2}, Head: energy.Residual}
	large := small
	large.Size = 8
	w := energy.Init(small, rng.New(1))
	if err := w.Check(large); err != nil {
		t.Fatal(err)
	}
	g := mdsm.EnergyGraph(large, w)
	x := tensor.New(tensor.Float32, 3, 1, 8, 8)
	for i := range tensor.Data[float32](x) {
		tensor.Data[float32](x)[i] = float32(i%7) / 7
	}
	together := testkit.Interpret(t, g, map[string]*tensor.Tensor{"x": x})["energy"].Float64s()
	one := tensor.Of(tensor.Data[float32](x)[64:128], 1, 1, 8, 8)
	if alone := testkit.Interpret(t, g, map[string]*tensor.Tensor{"x": one})["energy"].Float64s()[0]; alone != together[1] || !(alone > 0) {
		t.Errorf("energy %g alone and %g among others, want the same positive number", alone, together[1])
	}
	if err := graph.Catch(func() { mdsm.EnergyGraph(energy.UNet{Channels: 1, Dim: 2, Size: 5}, w) }); err == nil {
		t.Error("a picture of an odd size was halved")
	}
}
