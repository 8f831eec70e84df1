package onnximport

import (
	"slices"
	"strings"

	"ebm/models/graph"
)

// labelled is an operand of an Einsum on the way: its axes have labels, which
// differ.
type labelled struct {
	x      *graph.Node
	labels []string
}

// readEinsum multiplies operands two by two, by matrix products over the
// labels that the result and later operands do not have.
func readEinsum(c *call) []*value {
	equation := strings.ReplaceAll(c.text("equation", ""), " ", "")
	left, right, explicit := strings.Cut(equation, "->")
	terms := strings.Split(left, ",")
	if len(terms) != len(c.in) {
		c.fail("equation %q for %d operands", equation, len(c.in))
	}
	var operands []labelled
	seen := make(map[string]int)
	var dots []string // the labels of "...", of the longest one
	for i, term := range terms {
		x := c.float(i)
		labels := c.labels(equation, term, x.Rank())
		for _, l := range labels {
			if seen[l]++; len(l) > 1 && !slices.Contains(dots, l) {
				dots = append(dots, l)
			}
		}
		operands = append(operands, c.diagonal(labelled{x, labels}))
	}
	slices.SortFunc(dots, func(a, b string) int { return strings.Compare(b, a) }) // from the outermost
	result := slices.Clone(dots)
	if explicit {
		result = nil
		for rest := right; rest != ""; {
			if after, ok := strings.CutPrefix(rest, "..."); ok {
				result, rest = append(result, dots...), after
				continue
			}
			result, rest = append(result, rest[:1]), rest[1:]
		}
	} else {
		var once []string
		for l, n := range seen {
			if n == 1 && len(l) == 1 {
				once = append(once, l)
			}
		}
		slices.Sort(once)
		result = append(result, once...)
	}
	for i, l := range result {
		if seen[l] == 0 || slices.Contains(result[:i], l) {
			c.fail("equation %q: label %q of the result", equation, l)
		}
	}
	y := c.sumOut(operands[0], keep(result, operands[1:]))
	for i := 1; i < len(operands); i++ {
		kept := keep(result, operands[i+1:])
		y = c.contract(y, operands[i], kept)
	}
	perm := make([]int, len(result))
	for i, l := range result {
		perm[i] = slices.Index(y.labels, l)
	}
	return one(graph.Transpose(y.x, perm...))
}

// labels returns the labels of a term's axes. Those of "..." are counted from
// the last, as ".0", ".1", so that they align at the right.
func (c *call) labels(equation, term string, rank int) []string {
	before, after, ellipsis := strings.Cut(term, "...")
	named := len(before) + len(after)
	if named > rank || !ellipsis && named != rank || rank-named > 9 || strings.Contains(before+after, ".") {
		c.fail("equation %q: term %q for %d axes", equation, term, rank)
	}
	labels := strings.Split(before, "")
	for i := rank - named - 1; i >= 0; i-- {
		labels = append(labels, "."+string(rune('0'+i)))
	}
	if after != "" {
		labels = append(labels, strings.Split(after, "")...)
	}
	return labels
}

// diagonal keeps the elements whose places along axes of one label are equal.
func (c *call) diagonal(a labelled) labelled {
	for i := 0; i < len(a.labels); i++ {
		for j := len(a.labels) - 1; j > i; j-- {
			if a.labels[i] != a.labels[j] {
				continue
			}
			if a.x.Shape()[i] != a.x.Shape()[j] {
				c.fail("label %q has dimensions %v and %v", a.labels[i], a.x.Shape()[i], a.x.Shape()[j])
			}
			on := graph.Equal(places(c, a.x, i), places(c, a.x, j))
			x := graph.ReduceSum(graph.Where(on, a.x, graph.Like(a.x, 0)), j)
			a = labelled{x, slices.Delete(slices.Clone(a.labels), j, j+1)}
		}
	}
	return a
}

// keep returns the labels that the result or a later operand has.
func keep(result []string, later []labelled) map[string]bool {
	kept := make(map[string]bool)
	for _, l := range result {
		kept[l] = true
	}
	for _, o := range later {
		for _, l := range o.labels {
			kept[l] = true
		}
	}
	return kept
}

// sumOut sums over the labels that are not kept.
func (c *call) sumOut(a labelled, kept map[string]bool) labelled {
	var axes []int
	var labels []string
	for i, l := range a.labels {
		if kept[l] {
			labels = append(labels, l)
		} else {
			axes = append(axes, i)
		}
	}
	return labelled{sumOver(a.x, axes), labels}
}

// contract multiplies two operands and sums over what is not kept.
func (c *call) contract(a, b labelled, kept map[string]bool) labelled {
	inBoth := func(own, other labelled) map[string]bool {
		m := make(map[string]bool)
		for _, l := range own.labels {
			m[l] = kept[l] || slices.Contains(other.labels, l)
		}
		return m
	}
	a, b = c.sumOut(a, inBoth(a, b)), c.sumOut(b, inBoth(b, a))
	a, b = c.fit(a, b), c.fit(b, a)
	var batch, inner, rows, columns []string
	for _, l := range a.labels {
		switch shared := slices.Contains(b.labels, l); {
		case shared && kept[l]:
			batch = append(batch, l)
		case shared:
			inner = append(inner, l)
		default:
			rows = append(rows, l)
		}
	}
	for _, l := range b.labels {
		if !slices.Contains(a.labels, l) {
			columns = append(columns, l)
		}
	}
	x, shapeA := c.arrange(a, batch, rows, inner)
	y, shapeB := c.arrange(b, batch, inner, columns)
	shape := slices.Concat(shapeA[0], shapeA[1], shapeB[2])
	return labelled{graph.Reshape(graph.MatMul(x, y), shape), slices.Concat(batch, rows, columns)}
}

// fit repeats the axes of a that b has with a larger dimension.
func (c *call) fit(a, b labelled) labelled {
	shape := slices.Clone(a.x.Shape())
	for i, l := range a.labels {
		if j := slices.Index(b.labels, l); j >= 0 {
			shape[i] = c.common(graph.Shape{shape[i]}, graph.Shape{b.x.Shape()[j]})[0]
		}
	}
	return labelled{graph.Broadcast(a.x, shape), a.labels}
}

// arrange transposes a to three groups of labels and makes each group one axis.
// It returns the shapes of the groups, too.
func (c *call) arrange(a labelled, groups ...[]string) (*graph.Node, []graph.Shape) {
	var perm []int
	var merged graph.Shape
	shapes := make([]graph.Shape, len(groups))
	for g, labels := range groups {
		total := graph.Const(1)
		for _, l := range labels {
			axis := slices.Index(a.labels, l)
			perm = append(perm, axis)
			shapes[g] = append(shapes[g], a.x.Shape()[axis])
			total = c.times(total, a.x.Shape()[axis])
		}
		merged = append(merged, total)
	}
	return graph.Reshape(graph.Transpose(a.x, perm...), merged), shapes
}
