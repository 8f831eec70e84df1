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
	// firstParameter is what the names of every network begin with.
	firstParameter = "conv1.conv.weight"
)

// Recognise finds the network that weights belong to from their names and
// shapes alone. The activation cannot be seen and is taken to be ELU; the
// head shows in the names. The error says what speaks against each network.
func Recognise(w Weights) (ResNet, error) {
	r, _, err := recognise(w.infos(), "", func(string) bool { return true })
	return r, err
}

// recognise is Recognise for weights among other tensors, whose names it
// returns; others that belong to the network must be known. A head that is given is not looked for.
func recognise(infos map[string]weights.Info, given Head, belongs func(name string) bool) (net ResNet, others []string, err error) {
	first, ok := infos[firstParameter]
	if slices.Contains(first.Shape, 0) {
		return net, nil, fmt.Errorf("no network recognised, %s is %v%v, without elements", firstParameter, first.DType, first.Shape)
	}
	if !ok || len(first.Shape) != 4 || first.Shape[0] > maxDim {
		return net, nil, fmt.Errorf("no network recognised, want %s [dim channels 3 3], the names are %s", firstParameter, firstNames(infos))
	}
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
			if !unused(other, infos[other], r.Head) && (!fits || belongs(other)) {
				problems = append(problems, fmt.Sprintf("unexpected %s %v", other, infos[other].Shape))
			}
		}
		if len(problems) == 0 {
			return r, rest, nil
		}
		if n := len(problems); n < fewest {
			fewest, err = n, fmt.Errorf("no network recognised; closest is %v: %w", r, &MismatchError{Problems: problems})
		}
	}
	return net, nil, err
}

// parts are how the names of the networks' parts begin, before numbers.
var parts = []string{"conv", "rb", "rbc", "ln", "lq", "bn", "norm"}

// belongs reports a name that only a part of such a network would have, so
// that with it the network is another function.
func belongs(name string) bool {
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
	return head == LinearSum && (strings.HasPrefix(name, "ln2.") || strings.HasPrefix(name, "lq."))
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
	Network ResNet
	Set     *weights.Set // its parameters alone, in their order, and the file's metadata
	Unused  []string     // parameters beside them that the network does not use
	Note    string       // what was taken of the file and what was left, when not all was
	Part    *weights.Part
}

// Find looks for a network in a file, or in a place of it (see weights.File.State): under any
// prefix, whatever stands beside it. Of several it takes averaged weights; where names do not
// tell which to take, the error lists the places. A head that is given overrides what the names say.
func Find(f *weights.File, place string, head Head) (*Found, error) {
	candidates, err := f.Holding(firstParameter, place)
	if err != nil {
		return nil, err
	}
	nets, others := map[*weights.Part]ResNet{}, map[*weights.Part][]string{}
	var fit []*weights.Part
	var closest error
	for _, c := range candidates {
		net, rest, err := recognise(c.Shapes(), head, belongs)
		if err != nil {
			closest = err
			continue
		}
		nets[c], others[c] = net, rest
		fit = append(fit, c)
	}
	if len(fit) == 0 {
		if closest == nil {
			part, err := f.State(place)
			if err != nil {
				return nil, err
			}
			_, _, closest = recognise(part.Shapes(), head, belongs)
		}
		return nil, closest
	}
	best, err := weights.Best(fit)
	if err != nil {
		return nil, err
	}
	found := &Found{Network: nets[best], Part: best}
	infos := best.Shapes()
	for _, name := range others[best] {
		if unused(name, infos[name], found.Network.Head) {
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
