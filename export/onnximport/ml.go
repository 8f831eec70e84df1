package onnximport

import (
	"math"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// machineLearning is the domain of what scikit-learn's models are converted to.
const machineLearning = "ai.onnx.ml"

func machineLearningTable() map[string]entry {
	return inDomain(machineLearning, map[string]entry{
		"ArrayFeatureExtractor": {1, readArrayFeatureExtractor, "of constant places"},
		"FeatureVectorizer":     {1, readFeatureVectorizer, ""},
		"Imputer":               {1, readImputer, "of numbers"},
		"LinearClassifier":      {1, readLinearClassifier, "scores alone"},
		"LinearRegressor":       {1, readLinearRegressor, ""},
		"Normalizer":            {1, readNormalizer, ""},
		"SVMRegressor":          {1, readSVMRegressor, ""},
		"Scaler":                {1, readScaler, ""},
	})
}

// rows returns operand 0 as float rows [N D].
func (c *call) rows() *graph.Node {
	x := graph.Cast(c.x(0), tensor.Float32)
	if x.Rank() == 1 {
		x = graph.ExpandDims(x, 0)
	}
	if x.Rank() != 2 {
		c.fail("%v, want rows [N D]", x.Type())
	}
	return x
}

// floats returns an attribute of numbers as a constant of a shape, nil if it is absent.
func (c *call) floats(name string, shape ...int) *graph.Node {
	list, ok := attribute[[]float32](c, name)
	if !ok || len(list) == 0 {
		return nil
	}
	if len(list) != tensor.Volume(shape) {
		c.fail("%d numbers in %s, want %d", len(list), name, tensor.Volume(shape))
	}
	return c.graph.Constant(tensor.Of(list, shape...))
}

func readScaler(c *call) []*value {
	x := c.rows()
	for _, part := range []struct {
		name string
		f    func(a, b *graph.Node) *graph.Node
	}{{"offset", graph.Sub}, {"scale", graph.Mul}} {
		list, _ := attribute[[]float32](c, part.name)
		if len(list) == 0 {
			continue
		}
		x = part.f(x, graph.Broadcast(c.floats(part.name, len(list)), x.Shape()))
	}
	return one(x)
}

// linear returns x·Wᵀ + b with the attributes coefficients and intercepts, of n outputs.
func (c *call) linear(x *graph.Node, n int) *graph.Node {
	w := c.floats("coefficients", n, c.size(x, 1))
	if w == nil {
		c.fail("want coefficients")
	}
	return affine(x, w, c.floats("intercepts", n))
}

// transformed applies the attribute post_transform to scores [N C].
func (c *call) transformed(y *graph.Node) *graph.Node {
	switch how := c.text("post_transform", "NONE"); how {
	case "NONE":
		return y
	case "LOGISTIC":
		return graph.Sigmoid(y)
	case "SOFTMAX":
		return graph.Exp(graph.LogSoftmax(y))
	case "SOFTMAX_ZERO":
		p := graph.Exp(graph.LogSoftmax(y))
		return graph.Where(graph.Equal(y, graph.Like(y, 0)), graph.Like(y, 0), p)
	default:
		c.fail("post_transform %q is not supported", how)
	}
	return nil
}

func readLinearRegressor(c *call) []*value {
	return one(c.transformed(c.linear(c.rows(), c.integer("targets", 1))))
}

// readLinearClassifier returns the scores of the classes; their labels are not computed.
func readLinearClassifier(c *call) []*value {
	c.ignore("multi_class", "classlabels_strings", "classlabels_ints")
	x := c.rows()
	list, _ := attribute[[]float32](c, "coefficients")
	n := len(list) / max(c.size(x, 1), 1)
	y := c.linear(x, n)
	if n == 1 { // one score tells two classes apart
		if c.text("post_transform", "NONE") == "NONE" {
			return []*value{nil, {node: graph.Concat(1, graph.Neg(y), y)}}
		}
		p := c.transformed(y)
		return []*value{nil, {node: graph.Concat(1, graph.Sub(graph.Like(p, 1), p), p)}}
	}
	return []*value{nil, {node: c.transformed(y)}}
}

// readSVMRegressor sums kernels with the support vectors.
func readSVMRegressor(c *call) []*value {
	x := c.rows()
	n, width := c.integer("n_supports", 0), c.size(x, 1)
	if n < 1 {
		c.fail("want support vectors")
	}
	if c.integer("one_class", 0) != 0 {
		c.fail("a one-class machine is not supported")
	}
	v, w, rho := c.floats("support_vectors", n, width), c.floats("coefficients", 1, n), c.floats("rho", 1)
	if v == nil || w == nil {
		c.fail("want support vectors and coefficients")
	}
	return one(c.transformed(affine(c.kernelOf(x, v), w, rho)))
}

// kernelOf returns the attribute kernel_type between rows x [N D] and v [S D], [N S].
func (c *call) kernelOf(x, v *graph.Node) *graph.Node {
	list, _ := attribute[[]float32](c, "kernel_params")
	params := append(append([]float32(nil), list...), make([]float32, 3)...)
	gamma, coef, degree := float64(params[0]), float64(params[1]), float64(params[2])
	dot := affine(x, v, nil)
	switch kind := c.text("kernel_type", "LINEAR"); kind {
	case "LINEAR":
		return dot
	case "POLY":
		y := graph.Shift(graph.Scale(dot, gamma), coef)
		return graph.Pow(y, graph.Like(y, degree))
	case "SIGMOID":
		return graph.Tanh(graph.Shift(graph.Scale(dot, gamma), coef))
	case "RBF":
		full := graph.Shape{x.Shape()[0], v.Shape()[0], x.Shape()[1]}
		d := graph.Sub(graph.BroadcastAlong(x, full, 0, 2), graph.BroadcastAlong(v, full, 1, 2))
		return graph.Exp(graph.Scale(graph.ReduceSum(graph.Mul(d, d), 2), -gamma))
	default:
		c.fail("kernel_type %q is not known", kind)
	}
	return nil
}

func readNormalizer(c *call) []*value {
	x := c.rows()
	var by *graph.Node
	switch norm := c.text("norm", "MAX"); norm {
	case "MAX":
		by = maxOver(graph.Abs(x), []int{1})
	case "L1":
		by = graph.ReduceSum(graph.Abs(x), 1)
	case "L2":
		by = graph.Sqrt(graph.ReduceSum(graph.Mul(x, x), 1))
	default:
		c.fail("norm %q is not known", norm)
	}
	by = graph.Where(graph.Equal(by, graph.Like(by, 0)), graph.Like(by, 1), by)
	return one(graph.Div(x, graph.BroadcastAlong(by, x.Shape(), 0)))
}

func readImputer(c *call) []*value {
	x := c.rows()
	list, _ := attribute[[]float32](c, "imputed_value_floats")
	if len(list) != 1 && len(list) != c.size(x, 1) {
		c.fail("%d imputed values for %d columns", len(list), c.size(x, 1))
	}
	missing := not(graph.Equal(x, x)) // not a number
	if v := c.number("replaced_value_float", float64(math.NaN())); !math.IsNaN(v) {
		missing = graph.Equal(x, graph.Like(x, v))
	}
	return one(graph.Where(missing, graph.Broadcast(c.graph.Constant(tensor.Of(list, len(list))), x.Shape()), x))
}

func readFeatureVectorizer(c *call) []*value {
	c.ignore("inputdimensions")
	var xs []*graph.Node
	for _, x := range c.all() {
		if x.Rank() == 1 {
			x = graph.ExpandDims(x, 1)
		}
		xs = append(xs, graph.Cast(x, tensor.Float32))
	}
	return one(graph.Concat(1, xs...))
}

func readArrayFeatureExtractor(c *call) []*value {
	x := c.x(0)
	return one(c.take(x, x.Rank()-1, c.ints(1)))
}
