package energy

import "ebm/models/graph"

// LinearParameters lists the parameters of [Linear]: name.weight [out in] and
// name.bias [out].
func LinearParameters(name string, in, out int) []Parameter {
	return []Parameter{{name + ".weight", []int{out, in}, in}, {name + ".bias", []int{out}, in}}
}

// Linear adds x·Wᵀ + b [N out] for x [N in], with W and b the parameters
// name.weight and name.bias.
func Linear(x *graph.Node, params Params, name string) *graph.Node {
	return graph.Linear(x, params.Get(name+".weight"), params.Get(name+".bias"))
}

// ConvolutionParameters lists the parameters of [Convolve]: name.weight
// [out in kernel kernel] and name.bias [out].
func ConvolutionParameters(name string, in, out, kernel int) []Parameter {
	fan := in * kernel * kernel
	return []Parameter{{name + ".weight", []int{out, in, kernel, kernel}, fan}, {name + ".bias", []int{out}, fan}}
}

// Convolve adds the convolution of x [N in H W] by the parameter name.weight,
// with stride 1 and pad zeros on each side, and the parameter name.bias where
// there is one: [N out H W] for a pad of half the kernel.
func Convolve(x *graph.Node, params Params, name string, pad int) *graph.Node {
	y := graph.Conv(x, params.Get(name+".weight"), graph.Conv2D(1, pad))
	if bias, ok := params[name+".bias"]; ok {
		y = addBias(y, bias)
	}
	return y
}

// addBias adds a number for each channel to y [N C …].
func addBias(y, bias *graph.Node) *graph.Node {
	return graph.Add(y, graph.BroadcastAlong(bias, y.Shape(), 1))
}
