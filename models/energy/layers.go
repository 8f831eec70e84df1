package energy

import "ebm/models/graph"

const (
	mostGroups = 8    // of a group normalisation
	normShift  = 1e-5 // what it adds to variances, PyTorch's default
)

// groupsOf returns the number of groups that normalise a number of channels: the
// largest power of two up to mostGroups that divides it.
func groupsOf(channels int) int {
	groups := mostGroups
	for channels%groups != 0 {
		groups /= 2
	}
	return groups
}

// groupNormParameters lists the parameters of [groupNorm]: name.weight [channels],
// ones at first, and name.bias [channels], zeros.
func groupNormParameters(name string, channels int) []Parameter {
	return []Parameter{
		{Name: name + ".weight", Shape: []int{channels}, First: 1},
		{Name: name + ".bias", Shape: []int{channels}},
	}
}

// groupNorm adds the group normalisation (Wu, He 2018) of x [N C H W], with the
// moments of a picture's channels in each of groupsOf(C) groups:
//
//	y = weight·(x − mean)/√(variance + normShift) + bias.
func groupNorm(x *graph.Node, params Params, name string) *graph.Node {
	s := x.Shape()
	channels, _ := s[1].Constant()
	groups := groupsOf(channels)
	each := graph.Shape{s[0], graph.Const(groups), graph.Const(channels / groups).Mul(s[2:].Volume())}
	rows := graph.Reshape(x, each)
	centred := graph.Sub(rows, graph.BroadcastAlong(graph.ReduceMean(rows, 2), each, 0, 1))
	deviation := graph.Sqrt(graph.Shift(graph.ReduceMean(graph.Mul(centred, centred), 2), normShift)) // [N groups]

	// One factor for each picture and channel.
	split := graph.Shape{s[0], each[1], graph.Const(channels / groups)}
	weight := graph.Broadcast(graph.Reshape(params.Get(name+".weight"), split[1:]), split)
	factor := graph.Reshape(graph.Div(weight, graph.BroadcastAlong(deviation, split, 0, 1)), s[:2])
	return addBias(graph.Mul(graph.Reshape(centred, s), graph.BroadcastAlong(factor, s, 0, 1)), params.Get(name+".bias"))
}

// LinearParameters lists the parameters of [Linear]: name.weight [out in] and
// name.bias [out].
func LinearParameters(name string, in, out int) []Parameter {
	return []Parameter{{Name: name + ".weight", Shape: []int{out, in}, FanIn: in}, {Name: name + ".bias", Shape: []int{out}, FanIn: in}}
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
	return []Parameter{
		{Name: name + ".weight", Shape: []int{out, in, kernel, kernel}, FanIn: fan},
		{Name: name + ".bias", Shape: []int{out}, FanIn: fan},
	}
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
