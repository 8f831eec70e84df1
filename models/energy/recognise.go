package energy

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"ebm/models/weights"
)

const (
	// maxDim bounds what is believed of a file's first convolution.
	maxDim = 1 << 20
)

// firstParameters are what the names of the networks of each family begin with.
var firstParameters = []string{"conv1.conv.weight", inName + ".weight"}

// Recognise finds the network that weights belong to from their names and
// shapes alone. The activation cannot be seen and is taken to be ELU; the
// head shows in the names. So does the size of the pictures but for that of a
// residual head, of which it is 0. The error says what speaks against each network.
func Recognise(w Weights) (Picture, error) {
	net, _, err := recognise(w.infos(), "", true)
	return net, err
}

// recognise is Recognise for weights among other tensors, whose names it
// returns; others that belong to the network, or any where alone is set, must be known. A head
// that is given is not looked for.
func recognise(infos map[string]weights.Info, given Head, alone bool) (net Picture, others []string, err error) {
	family, first := recogniseResNet, firstParameters[0]
	info, ok := infos[first]
	if !ok {
		if info, ok = infos[firstParameters[1]]; ok {
			family, first = recogniseUNet, firstParameters[1]
		}
	}
	if slices.Contains(info.Shape, 0) {
		return nil, nil, fmt.Errorf("no network recognised, %s is %v%v, without elements", first, info.DType, info.Shape)
	}
	if !ok || len(info.Shape) != 4 || info.Shape[0] > maxDim {
		return nil, nil, fmt.Errorf("no network recognised, want %s [dim channels 3 3], the names are %s",
			strings.Join(firstParameters, " or "), firstNames(infos))
	}
	return family(infos, given, alone)
}

// recogniseResNet is recognise for the networks of the paper.
func recogniseResNet(infos map[string]weights.Info, given Head, alone bool) (net Picture, others []string, err error) {
	first := infos[firstParameters[0]]
	r := ResNet{Dim: first.Shape[0], Channels: first.Shape[1], Head: given, Activation: ELU}
	head, ok := infos["ln1.weight"]
	if !ok || len(head.Shape) != 2 {
		return net, nil, fmt.Errorf("no network recognised, want ln1.weight [1 features], the names are %s", firstNames(infos))
	}
	if r.Head == "" {
		r.Head = Quadratic
		if _, ok := infos["ln2.weight"]; !ok {
			r.Head = LinearSum
		}
	}
	fewest := math.MaxInt
	for _, name := range Nets() {
		r.Net = name
		halvings := downs(blocksOf(name))
		area := head.Shape[1] / (r.Dim << halvings)
		side := int(math.Round(math.Sqrt(float64(area))))
		r.Size = max(side, 1) << halvings
		problems, rest := compare(infos, r)
		fits := len(problems) == 0
		for _, other := range rest {
			if !unused(other, infos[other], r.Head) && (!fits || alone || belongs(other, resNetParts)) {
				problems = append(problems, fmt.Sprintf("unexpected %s %v", other, infos[other].Shape))
			}
		}
		if len(problems) == 0 {
			return r, rest, nil
		}
		if n := len(problems); n < fewest {
			fewest, err = n, closest(r, problems)
		}
	}
	return nil, nil, err
}

func closest(net Picture, problems []string) error {
	return fmt.Errorf("no network recognised; closest is %v: %w", net, &MismatchError{Problems: problems})
}

// recogniseUNet is recognise for a UNet.
func recogniseUNet(infos map[string]weights.Info, given Head, alone bool) (net Picture, others []string, err error) {
	first := infos[firstParameters[1]]
	u := UNet{Channels: first.Shape[1], Head: given, Activation: ELU}
	channels := func(level, block int) int { // of a block's result, 0 for one that is not there
		out := infos[fmt.Sprintf("down.%d.%d.conv2.weight", level, block)]
		if len(out.Shape) != 4 {
			return 0
		}
		return out.Shape[0]
	}
	for channels(0, u.Blocks) > 0 {
		u.Blocks++
	}
	for level := 0; level < mostLevels && channels(level, 0) > 0; level++ {
		u.Multipliers = append(u.Multipliers, channels(level, 0))
	}
	if len(u.Multipliers) == 0 {
		return nil, nil, fmt.Errorf("no network recognised, want down.0.0.conv2.weight [dim dim 3 3], the names are %s", firstNames(infos))
	}
	// Which part of a width is Dim does not show, and changes nothing.
	for _, c := range u.Multipliers {
		u.Dim = gcd(c, u.Dim)
	}
	for i := range u.Multipliers {
		u.Multipliers[i] /= u.Dim
	}
	_, residual := infos[outName+".weight"]
	_, quadratic := infos["ln2.weight"]
	switch {
	case u.Head != "":
	case residual:
		u.Head = Residual
	case quadratic:
		u.Head = Quadratic
	default:
		u.Head = LinearSum
	}
	if head := infos["ln1.weight"]; u.Head != Residual && len(head.Shape) == 2 {
		u.Size = int(math.Round(math.Sqrt(float64(head.Shape[1] / first.Shape[0]))))
	}
	problems, rest := compare(infos, u)
	for _, other := range rest {
		if u.Head == LinearSum && inQuadratic(other) {
			continue
		}
		if len(problems) > 0 || alone || belongs(other, unetParts) {
			problems = append(problems, fmt.Sprintf("unexpected %s %v", other, infos[other].Shape))
		}
	}
	if len(problems) > 0 {
		return nil, nil, closest(u, problems)
	}
	return u, rest, nil
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// How the names of each family's parts begin, before numbers.
var (
	resNetParts = []string{"conv", "rb", "rbc", "ln", "lq", "bn", "norm"}
	unetParts   = []string{inName, outName, "down", "mid", "up", "lift", "skip", "ln", "lq", "norm"}
)

// belongs reports a name that only a part of such a network would have, so
// that with it the network is another function.
func belongs(name string, parts []string) bool {
	first, _, _ := strings.Cut(name, ".")
	return slices.Contains(parts, strings.TrimRight(first, "0123456789"))
}

// unused reports what files hold and the network does not use: the LayerNorm
// parameters bn1 and bn2 of the blocks of the paper's code, of shape [channels height
// width], and the quadratic head's weights when the head is linear. Other normalisation, such
// as that over a batch, is unexpected: a network that was trained with it is another function.
func unused(name string, info weights.Info, head Head) bool {
	for _, norm := range []string{".bn1", ".bn2"} {
		if strings.HasSuffix(name, norm+".weight") || strings.HasSuffix(name, norm+".bias") {
			return len(info.Shape) == 3
		}
	}
	return head == LinearSum && inQuadratic(name)
}

// inQuadratic reports a parameter that the quadratic head has and the linear one has not.
func inQuadratic(name string) bool {
	return strings.HasPrefix(name, "ln2.") || strings.HasPrefix(name, "lq.")
}

// DropUnused leaves out what the paper's code stores but never uses, the LayerNorms of its blocks.
func DropUnused(w Weights) Weights {
	kept := make(Weights, len(w))
	for name, info := range w.infos() {
		if !unused(name, info, Quadratic) {
			kept[name] = w[name]
		}
	}
	return kept
}

// Found is a network in a file of weights.
type Found struct {
	Network Picture
	Set     *weights.Set // its parameters alone, in their order, and the file's metadata
	Unused  []string     // parameters beside them that the network does not use
	Note    string       // what was taken of the file and what was left, when not all was
	Part    *weights.Part
}

// Find looks for a network in a file, or in a place of it (see weights.File.State): under any
// prefix, whatever stands beside it. Of several it takes averaged weights; where names do not
// tell which to take, the error lists the places. A head that is given overrides what the names say.
func Find(f *weights.File, place string, head Head) (*Found, error) {
	candidates, err := f.Holding(firstParameters, place)
	if err != nil {
		return nil, err
	}
	nets, others := map[*weights.Part]Picture{}, map[*weights.Part][]string{}
	var fit []*weights.Part
	var problem error
	for _, c := range candidates {
		net, rest, err := recognise(c.Shapes(), head, false)
		if err != nil {
			problem = err
			continue
		}
		nets[c], others[c] = net, rest
		fit = append(fit, c)
	}
	if len(fit) == 0 {
		if problem == nil {
			part, err := f.State(place)
			if err != nil {
				return nil, err
			}
			_, _, problem = recognise(part.Shapes(), head, false)
		}
		return nil, problem
	}
	best, err := weights.Best(fit)
	if err != nil {
		return nil, err
	}
	found := &Found{Network: nets[best], Part: best}
	infos := best.Shapes()
	for _, name := range others[best] {
		if unused(name, infos[name], found.Network.Plan().Head) {
			found.Unused = append(found.Unused, name)
		}
	}
	var names, silent []string
	for _, p := range found.Network.Parameters() {
		names = append(names, p.Name)
	}
	for _, name := range found.Unused {
		silent = append(silent, best.Place+name)
	}
	best.Keep(names)
	found.Note = best.Note(silent)
	found.Set, err = best.Read()
	return found, err
}

func firstNames(infos map[string]weights.Info) string {
	names := slices.Sorted(maps.Keys(infos))
	if len(names) > 6 {
		names = append(names[:6:6], "…")
	}
	return strings.Join(names, ", ")
}
