package mdsm

import (
	"math"

	"ebm/models/graph"
)

// Float16 returns a criterion and an optimiser for a training step whose products are of float16
// and whose batch has so many x; not for an [Accumulated] optimiser. Gradients of the loss at its scale,
// such as 1/σ₀⁴, leave float16's range: what is differentiated is that times a power of two, the loss
// times about 8·√batch, and gradients are divided by it in float32. Gradients by activations are
// shares of a mean over the batch, and the sums that weights get of them are means of terms whose signs
// differ: the root is between the two. An update whose gradient is not finite changes nothing;
// its grad_norm says so.
func Float16(c Criterion, o Optimiser, batch int) (Criterion, Optimiser) {
	by := math.Exp2(3 + math.Round(math.Log2(math.Sqrt(float64(batch))/c.scale())))
	return inRange{c, by}, skipping{o}
}

// inRange is a criterion whose gradients are computed times a power of two.
type inRange struct {
	Criterion
	by float64
}

// gradients adds those of a share of the loss of c, at its scale.
func gradients(c Criterion, share float64, loss *graph.Node, names []string, params map[string]*graph.Node) []*graph.Node {
	ranged, ok := c.(inRange)
	if !ok {
		return Gradients(loss, c.scale()*share, names, params)
	}
	grads := Gradients(loss, c.scale()*share*ranged.by, names, params)
	for i, d := range grads {
		grads[i] = graph.Scale(d, 1/ranged.by)
	}
	return grads
}

// skipping leaves out updates whose gradient is not finite.
type skipping struct{ Optimiser }

func (s skipping) wrapping() wrapping {
	w := s.Optimiser.wrapping()
	w.skips = true
	return w
}
