package train

import (
	"context"
	"fmt"
	"slices"

	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/models/classifier"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/models/weights"
	"ebm/runtime"
)

// classifierSide is the size of the pictures that a classifier is trained on:
// twice what its network sees, so that they move by half its pixels.
const classifierSide = 2 * classifier.Size

// TrainClassifier trains a classifier.Network by cross-entropy, in a run's
// folder as Train makes it, with classifier.toml in place of config.toml. The
// pictures are grey, 32×32 and labelled. With Resume it goes on from the
// newest checkpoint there, which must be of the same settings and pictures.
func TrainClassifier(ctx context.Context, rt *runtime.Runtime, s ClassifierSettings, data *dataset.Set, o Options) (Result, error) {
	s.Data.Hash = data.Hash()
	return trainIn(ctx, rt, s, o, func() (Problem, error) { return NewClassifierProblem(s, data, o.Start) })
}

// NewClassifierProblem makes the training problem of the settings: batches of
// pictures at random shifts, and one update of Adam on their cross-entropy.
// Pictures of another shape, or without labels, are errors. first may be nil,
// for random weights.
func NewClassifierProblem(s ClassifierSettings, data *dataset.Set, first energy.Weights) (Problem, error) {
	net := s.Network()
	if data.Channels != 1 || data.Height != classifierSide || data.Width != classifierSide || data.Len() == 0 ||
		len(data.Labels) != data.Len() {
		return Problem{}, fmt.Errorf("%s has %d pictures of %d×%d×%d and %d labels, a classifier is trained on labelled pictures of 1×%d×%d",
			data.Name, data.Len(), data.Channels, data.Height, data.Width, len(data.Labels), classifierSide, classifierSide)
	}
	if top := slices.Max(data.Labels); int(top) >= net.Classes {
		return Problem{}, fmt.Errorf("%s has the label %d, the classifier has %d classes", data.Name, top, net.Classes)
	}
	source := rng.New(s.Seed)
	if first == nil {
		first = energy.Init(net, source)
	} else if err := first.Check(net); err != nil {
		return Problem{}, err
	}
	x := tensor.New(tensor.Float32, append([]int{s.Batch}, net.InputShape()...)...)
	labels := tensor.New(tensor.Int64, s.Batch)
	p := Problem{
		Step: ClassifierGraph(net, s.Optimiser.adam()), Optimiser: s.Optimiser.adam(), Initial: first,
		Batch: map[string]*tensor.Tensor{"x": x, "label": labels}, Describe: s.Describe(),
	}
	for _, parameter := range net.Parameters() {
		p.Order = append(p.Order, parameter.Name)
	}
	order := newOrder(source, data.Len())
	each := x.Len() / s.Batch
	p.Fill = func(t int) {
		for i := range s.Batch {
			index := order.at(uint64(t-1)*uint64(s.Batch) + uint64(i))
			tensor.Data[int64](labels)[i] = int64(data.Labels[index])
			view := s.view(source, uint64(i), uint32(t))
			view.draw(tensor.Data[float32](x)[i*each:(i+1)*each], data.Picture(index))
		}
	}
	return p, nil
}

// ClassifierGraph returns the whole training step of a classifier as one graph:
//
//	x [N 1 16 16], label [N] (int64), learning_rate [1], step [1] (int64,
//	from 1), and for every parameter P: P, P.m, P.v (and P.ema)
//	→ loss [1], the cross-entropy in nats, and the outputs of mdsm.Minimise
func ClassifierGraph(n classifier.Network, o mdsm.Optimiser) *graph.Graph {
	g := graph.New("train_classifier")
	x := g.Input("x", tensor.Float32, graph.Batch(n.InputShape()...))
	labels := g.Input("label", tensor.Int64, x.Shape()[:1])
	rate, step := g.Input("learning_rate", x.DType(), graph.Dims(1)), g.Input("step", tensor.Int64, graph.Dims(1))
	params := energy.Inputs(g, n, x.DType())
	loss := classifier.CrossEntropy(n.Build(x, params).Logits, labels)
	g.Output("loss", graph.Reshape(loss, graph.Dims(1)))
	var names []string
	for _, p := range n.Parameters() {
		names = append(names, p.Name)
	}
	mdsm.Minimise(o, loss, 1, names, params, rate, step)
	return g
}

// view is how a picture is shown to the network in one step.
type view struct {
	right, down int // by how many of the picture's pixels it is moved
	mirrored    bool
}

// view draws how the picture at a position of a step's batch is shown.
func (s ClassifierSettings) view(source rng.Source, position uint64, step uint32) view {
	var v view
	if s.Shift > 0 {
		at := source.IntN((2*s.Shift+1)*(2*s.Shift+1), rng.Crop, position, step)
		v.right, v.down = at%(2*s.Shift+1)-s.Shift, at/(2*s.Shift+1)-s.Shift
	}
	v.mirrored = s.Data.Flip && source.Uint64(rng.Flip, position, step)&1 == 1
	return v
}

// draw writes what is seen of a picture [32 32] to dst [16 16]: zeros where
// it was moved from, 2×2 means in whole numbers, divided by 255. Unmoved, that
// is what classifier.Preprocess makes of it.
func (v view) draw(dst []float32, picture []uint8) {
	at := func(row, column int) int {
		row -= v.down
		if v.mirrored {
			column = classifierSide - 1 - column
		}
		column -= v.right
		if row < 0 || row >= classifierSide || column < 0 || column >= classifierSide {
			return 0
		}
		return int(picture[row*classifierSide+column])
	}
	for i := range dst {
		row, column := 2*(i/classifier.Size), 2*(i%classifier.Size)
		sum := at(row, column) + at(row, column+1) + at(row+1, column) + at(row+1, column+1)
		dst[i] = float32((sum+2)/4) / 255
	}
}

// ClassifierWeights returns what the checkpoint of a classifier's run is used
// with, averaged where the run averages, in PyTorch's order and with the
// settings as metadata.
func ClassifierWeights(c Checkpoint, s ClassifierSettings) (*weights.Set, error) {
	w, err := c.Weights()
	if err != nil {
		return nil, err
	}
	if err := w.Check(s.Network()); err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", c.Dir, err)
	}
	set := &weights.Set{Metadata: s.Describe()}
	set.Metadata["step"] = fmt.Sprint(c.Step)
	for _, p := range s.Network().Parameters() {
		if err := set.Add(p.Name, w[p.Name]); err != nil {
			return nil, err
		}
	}
	return set, nil
}
