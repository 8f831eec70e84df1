package energy

import (
	"fmt"
	"math"
	"strings"
)

// maxDim bounds what is believed of a file's first convolution.
const maxDim = 1 << 20

// Recognise finds the network that weights belong to from their names and
// shapes alone. The activation cannot be seen and is taken to be ELU; the
// head shows in the names. The error says what speaks against each network.
func Recognise(w Weights) (ResNet, error) {
	first, ok := w["conv1.conv.weight"]
	if !ok || first.Rank() != 4 || first.Len() == 0 || first.Shape()[0] > maxDim {
		return ResNet{}, fmt.Errorf("no network recognised: conv1.conv.weight [dim channels 3 3] is wanted, the names are %s", strings.Join(firstNames(w), ", "))
	}
	r := ResNet{Dim: first.Shape()[0], Channels: first.Shape()[1], Head: Quadratic, Activation: ELU}
	head, ok := w["ln1.weight"]
	if !ok || head.Rank() != 2 {
		return ResNet{}, fmt.Errorf("no network recognised: ln1.weight [1 features] is wanted, the names are %s", strings.Join(firstNames(w), ", "))
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
// LayerNorm parameters bn1 and bn2 of its blocks.
func DropUnused(w Weights) Weights {
	kept := make(Weights, len(w))
	for name, t := range w {
		if strings.Contains(name, ".bn1.") || strings.Contains(name, ".bn2.") {
			continue
		}
		kept[name] = t
	}
	return kept
}

func firstNames(w Weights) []string {
	names := sortedNames(w)
	if len(names) > 6 {
		names = append(names[:6:6], "…")
	}
	return names
}
