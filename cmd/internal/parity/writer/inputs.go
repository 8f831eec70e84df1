package main

import (
	"fmt"
	"strings"

	"ebm/export/onnximport"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// sizes of the symbolic dimensions.
var sizes = map[string]int{"N": 3, "K": 4}

// draw makes inputs for a model: parameters from the weights, what a batch has,
// everything else at random or at a value of a usual size. Moments are not zero, since Adam's
// first step from zero would be the sign of the gradient, which rounding
// decides where the gradient vanishes.
func draw(infos []runtime.ValueInfo, w energy.Weights, batch map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	source := rng.New(2)
	inputs := make(map[string]*tensor.Tensor)
	for i, info := range infos {
		if batch[info.Name] != nil {
			inputs[info.Name] = batch[info.Name]
			continue
		}
		shape := append([]int(nil), info.Shape...)
		for axis, symbol := range info.Symbols {
			if shape[axis] < 0 {
				n, ok := sizes[symbol]
				if !ok {
					return nil, fmt.Errorf("input %s is %v, want N and K as its only dynamic dimensions", info.Name, info)
				}
				shape[axis] = n
			}
		}
		if info.DType == tensor.Int64 && (info.Name == "step" || info.Name == onnximport.SeedInput) {
			inputs[info.Name] = tensor.Of([]int64{7}, 1)
			continue
		}
		t := tensor.New(tensor.Float32, shape...)
		inputs[info.Name] = t
		data := tensor.Data[float32](t)
		normal := func() { source.Normal(data, rng.Probe, uint64(i), 0) }
		uniform := func(low, high float32) {
			source.Uniform(data, rng.Probe, uint64(i), 0)
			for j, u := range data {
				data[j] = low + (high-low)*u
			}
		}
		parameter, suffix := split(info.Name, w)
		switch {
		case parameter != "" && (suffix == "" || suffix == ".ema"):
			t.CopyFrom(w[parameter].AsFloat32())
		case suffix == ".m":
			normal()
		case suffix == ".v":
			uniform(0.5, 1.5)
		case info.Name == "x":
			uniform(0, 1)
		case info.Name == "v", info.Name == "noise":
			normal()
		case info.Name == "sigma":
			uniform(0.1, 3)
		case info.Name == "temperature":
			uniform(0, 10)
		case info.Name == "learning_rate":
			data[0] = 1e-3
		case info.Name == "step_size":
			data[0] = 0.1
		default:
			return nil, fmt.Errorf("input %s %v is not known", info.Name, info)
		}
	}
	return inputs, nil
}

// split divides the name of a parameter's state into the parameter and what
// the state is called; both are empty for other names.
func split(name string, w energy.Weights) (parameter, suffix string) {
	if w[name] != nil {
		return name, ""
	}
	if dot := strings.LastIndexByte(name, '.'); dot > 0 && w[name[:dot]] != nil {
		return name[:dot], name[dot:]
	}
	return "", ""
}
