package onnximport

import (
	"math"

	"ebm/models/graph"
)

// microsoft is the domain of what ONNX Runtime's optimiser and its tools for
// transformers put in the place of several standard operators. ONNX Runtime
// writes some of these, and LayerNormalization of any version, in the standard
// domain too.
const microsoft = "com.microsoft"

func microsoftTable() map[string]entry {
	return inDomain(microsoft, map[string]entry{
		"Attention":                        {1, readFusedAttention, "without past and position bias"},
		"BiasGelu":                         {1, readBiasGelu, ""},
		"FastGelu":                         {1, readFastGelu, ""},
		"FusedConv":                        {1, readFusedConv, ""},
		"FusedGemm":                        {1, readFusedGemm, ""},
		"FusedMatMul":                      {1, readFusedMatMul, ""},
		"Gelu":                             {1, unary(graph.Gelu), ""},
		"GroupQueryAttention":              {1, readGroupQueryAttention, "without past"},
		"MultiHeadAttention":               {1, readMultiHeadAttention, "of separate operands, without past"},
		"QuickGelu":                        {1, activation(quickGelu), ""},
		"RotaryEmbedding":                  {1, readRotaryEmbedding, ""},
		"SkipLayerNormalization":           {1, readSkipLayerNormalization, ""},
		"SkipSimplifiedLayerNormalization": {1, readSkipSimplified, ""},

		"DequantizeLinear":         {1, readDequantizeLinear, ""},
		"DynamicQuantizeMatMul":    {1, readDynamicQuantizeMatMul, ""},
		"MatMulIntegerToFloat":     {1, readMatMulIntegerToFloat, ""},
		"QGemm":                    {1, readQGemm, ""},
		"QLinearAdd":               {1, quantizedBinary(graph.Add), ""},
		"QLinearConcat":            {1, readQLinearConcat, ""},
		"QLinearGlobalAveragePool": {1, readQLinearGlobalAveragePool, "channels first"},
		"QLinearLeakyRelu":         {1, quantizedUnary(leakyRelu), ""},
		"QLinearMul":               {1, quantizedBinary(graph.Mul), ""},
		"QLinearSigmoid":           {1, quantizedUnary(func(_ *call, x *graph.Node) *graph.Node { return graph.Sigmoid(x) }), ""},
		"QuantizeLinear":           {1, readQuantizeLinear, "its derivative is 0"},
	})
}

// inDomain calls operators by their domain too.
func inDomain(domain string, list map[string]entry) map[string]entry {
	all := make(map[string]entry)
	for name, e := range list {
		all[domain+"."+name] = e
	}
	return all
}

func quickGelu(c *call, x *graph.Node) *graph.Node {
	return graph.Mul(x, graph.Sigmoid(graph.Scale(x, c.number("alpha", 1.702))))
}

// plus is x + b, where b is the last operand i and may be absent.
func (c *call) plus(x *graph.Node, i int) *graph.Node {
	if !c.has(i) {
		return x
	}
	both := c.broadcast(x, c.x(i))
	return graph.Add(both[0], both[1])
}

func readBiasGelu(c *call) []*value { return one(graph.Gelu(c.plus(c.float(0), 1))) }
func readFastGelu(c *call) []*value { return one(tanhGelu(c.plus(c.float(0), 1))) }

func readFusedMatMul(c *call) []*value {
	a, b := c.float(0), c.float(1)
	if c.integer("transBatchA", 0) != 0 || c.integer("transBatchB", 0) != 0 {
		c.fail("transposed batches are not supported")
	}
	if c.integer("transA", 0) != 0 && a.Rank() > 1 {
		a = graph.SwapLast(a)
	}
	if c.integer("transB", 0) != 0 && b.Rank() > 1 {
		b = graph.SwapLast(b)
	}
	return one(graph.Scale(c.matMul(a, b), c.number("alpha", 1)))
}

func readFusedGemm(c *call) []*value {
	y := readGemm(c)[0].node
	alpha, beta := c.number("activation_alpha", 0.01), c.number("activation_beta", 0)
	c.ignore("activation_gamma")
	return one(c.fused(y, []float64{alpha, beta}))
}

func readFusedConv(c *call) []*value {
	y := readConv(c)[0].node
	if c.has(3) {
		y = graph.Add(y, c.x(3))
	}
	list, _ := attribute[[]float32](c, "activation_params")
	params := []float64{0.01, 0}
	for i := 0; i < min(len(list), 2); i++ {
		params[i] = float64(list[i])
	}
	return one(c.fused(y, params))
}

// fused applies the attribute activation.
func (c *call) fused(y *graph.Node, params []float64) *graph.Node {
	switch name := c.text("activation", ""); name {
	case "":
		return y
	case "Relu":
		return graph.Relu(y)
	case "Tanh":
		return graph.Tanh(y)
	case "Sigmoid":
		return graph.Sigmoid(y)
	case "LeakyRelu":
		return above(y, 0, y, graph.Scale(y, params[0]))
	case "Clip":
		return clamp(y, params[0], params[1])
	case "HardSigmoid":
		return clamp(graph.Shift(graph.Scale(y, params[0]), params[1]), 0, 1)
	default:
		c.fail("activation %q is not known", name)
	}
	return nil
}

// readSkipLayerNormalization normalises x + skip + bias, and also returns the
// sum.
func readSkipLayerNormalization(c *call) []*value {
	x := c.plus(c.plus(c.float(0), 1), 4)
	axes := []int{x.Rank() - 1}
	y, center, inverse := c.normalised(x, axes, c.number("epsilon", 1e-12))
	y = graph.Mul(y, graph.Broadcast(c.x(2), y.Shape()))
	if c.has(3) {
		y = graph.Add(y, graph.Broadcast(c.x(3), y.Shape()))
	}
	return []*value{{node: y}, {node: graph.KeepDims(center, x, axes...)}, {node: graph.KeepDims(inverse, x, axes...)}, {node: x}}
}

func readSkipSimplified(c *call) []*value {
	x := c.plus(c.plus(c.float(0), 1), 3)
	y := c.rootMeanSquare(x, []int{x.Rank() - 1}, c.number("epsilon", 1e-12))
	y = graph.Mul(y, graph.Broadcast(c.x(2), y.Shape()))
	return []*value{{node: y}, nil, nil, {node: x}}
}

// readFusedAttention projects x [B S I] by one matrix [I 3·H] to queries, keys
// and values.
func readFusedAttention(c *call) []*value {
	x, heads := c.float(0), c.integer("num_heads", 0)
	if x.Rank() != 3 || c.has(4) || c.has(5) && c.x(5).Rank() != 4 {
		c.fail("%v, want an operand [B S I] without a past", x.Type())
	}
	all := c.plus(c.product(x, c.float(1)), 2)
	width := c.size(all, 2)
	parts, given := c.integers("qkv_hidden_sizes")
	if !given {
		parts = []int{width / 3, width / 3, width / 3}
	}
	if len(parts) != 3 || parts[0]+parts[1]+parts[2] != width || parts[0] != parts[1] {
		c.fail("hidden sizes %v of %d", parts, width)
	}
	part := func(from, size int) *graph.Node { return graph.Slice(all, 2, from, from+size, 1) }
	c.ignore("do_rotary", "past_present_share_buffer")
	if c.integer("do_rotary", 0) != 0 {
		c.fail("rotary embeddings inside of attention are not supported")
	}
	a := &attention{call: c, q: part(0, parts[0]), k: part(parts[0], parts[1]), v: part(parts[0]+parts[1], parts[2])}
	return one(a.fused(heads, 3, 5))
}

func readMultiHeadAttention(c *call) []*value {
	if !c.has(1) || !c.has(2) || c.has(6) || c.has(7) {
		c.fail("want queries, keys and values, and no past")
	}
	a := &attention{call: c, q: c.float(0), k: c.float(1), v: c.float(2)}
	if a.q.Rank() != 3 || a.k.Rank() != 3 || a.v.Rank() != 3 {
		c.fail("%v, %v and %v, want operands [B S H]", a.q.Type(), a.k.Type(), a.v.Type())
	}
	if c.has(3) {
		bias, from := c.x(3), 0
		for _, x := range []**graph.Node{&a.q, &a.k, &a.v} {
			width := c.size(*x, 2)
			*x = graph.Add(*x, graph.Broadcast(graph.Slice(bias, 0, from, from+width, 1), (*x).Shape()))
			from += width
		}
	}
	return one(a.fused(c.integer("num_heads", 0), 4, 5))
}

// fused is attention in heads with a padding mask, operand i of int32, and a
// bias of the scores, operand j. What is masked gets mask_filter_value added.
func (a *attention) fused(heads, i, j int) *graph.Node {
	a.q, a.k, a.v = a.heads(a.q, heads), a.heads(a.k, heads), a.heads(a.v, heads)
	scale := a.number("scale", 0)
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(a.size(a.q, 3)))
	}
	scores := graph.Scale(a.matMul(a.q, graph.SwapLast(a.k)), scale)
	filter := a.number("mask_filter_value", -10000)
	if a.has(j) {
		scores = a.plus(scores, j)
	}
	if a.has(i) {
		scores = a.padding(scores, a.x(i), filter)
	}
	if a.integer("unidirectional", 0) != 0 {
		s := scores.Shape()
		rows, columns := places(a.call, scores, 2), places(a.call, scores, 3)
		ahead := s[3].Sub(s[2]) // keys before the first query
		later := graph.Less(graph.Add(rows, a.repeated(rows, ahead)), columns)
		scores = graph.Where(later, graph.Like(scores, math.Inf(-1)), scores)
	}
	return a.merged(a.matMul(graph.Exp(graph.LogSoftmax(scores)), a.v))
}

// padding adds the filter value where a mask [B T], [B S T] or [B 1 S T] is 0.
func (a *attention) padding(scores, mask *graph.Node, filter float64) *graph.Node {
	m := mask.Shape()
	switch len(m) {
	case 2:
		mask = graph.ExpandDims(mask, 1, 2)
	case 3:
		mask = graph.ExpandDims(mask, 1)
	case 4:
	default:
		a.fail("a mask %v, want [B T], [B S T] or [B 1 S T]", mask.Type())
	}
	out := graph.Equal(mask, constantLike(mask, 0))
	term := graph.Where(out, graph.Broadcast(number(a.graph, scores.DType(), filter), out.Shape()),
		graph.Broadcast(number(a.graph, scores.DType(), 0), out.Shape()))
	both := a.broadcast(scores, term)
	return graph.Add(both[0], both[1])
}
