package energy

import (
	"fmt"
	"math"
	"strings"
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
	first, ok := w[firstParameter]
	if !ok || first.Rank() != 4 || first.Len() == 0 || first.Shape()[0] > maxDim {
		return ResNet{}, fmt.Errorf("no network recognised, want %s [dim channels 3 3], the names are %s", firstParameter, strings.Join(firstNames(w), ", "))
	}
	r := ResNet{Dim: first.Shape()[0], Channels: first.Shape()[1], Head: Quadratic, Activation: ELU}
	head, ok := w["ln1.weight"]
	if !ok || head.Rank() != 2 {
		return ResNet{}, fmt.Errorf("no network recognised, want ln1.weight [1 features], the names are %s", strings.Join(firstNames(w), ", "))
	}
	if _, ok := w["ln2.weight"]; !ok {
		r.Head = LinearSum
	}
	var closest error
	fewest := math.MaxInt
	for _, name := range Nets() {
		r.Net = name
		halvings := downs(blocksOf(name))
		area := head.Shape()[1] / (r.Dim << halvings)
		side := int(math.Round(math.Sqrt(float64(area))))
		r.Size = max(side, 1) << halvings
		err := w.Check(r)
		if err == nil {
			return r, nil
		}
		if n := len(err.(*MismatchError).Problems); n < fewest {
			fewest, closest = n, fmt.Errorf("no network recognised; closest is %v: %w", r, err)
		}
	}
	return ResNet{}, closest
}

// DropUnused leaves out what the paper's code stores but never uses: the
// LayerNorm parameters bn1 and bn2 of its blocks, of shape [channels height
// width]. Other normalisation, such as that over a batch, stays and is
// unexpected: a network that was trained with it is another function.
func DropUnused(w Weights) Weights {
	kept := make(Weights, len(w))
	for name, t := range w {
		if !unused(name) || t.Rank() != 3 {
			kept[name] = t
		}
	}
	return kept
}

func unused(name string) bool {
	for _, norm := range []string{".bn1", ".bn2"} {
		if strings.HasSuffix(name, norm+".weight") || strings.HasSuffix(name, norm+".bias") {
			return true
		}
	}
	return false
}

// CutPrefix removes what all names have before the network's own, such as the
// "model." of a network that is a part of another module.
func CutPrefix(w Weights) Weights {
	prefix := ""
	for name := range w {
		if p, ok := strings.CutSuffix(name, firstParameter); ok && strings.HasSuffix(p, ".") {
			prefix = p
		}
	}
	cut := make(Weights, len(w))
	for name, t := range w {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			return w
		}
		cut[rest] = t
	}
	return cut
}

func firstNames(w Weights) []string {
	names := sortedNames(w)
	if len(names) > 6 {
		names = append(names[:6:6], "…")
	}
	return names
}
