package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ebm/internal/atomicfile"
	"ebm/mdsm/dataset"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// Options say how Train runs beside its settings.
type Options struct {
	Dir      string // the run's folder, made if it is not there
	Resume   bool
	Start    energy.Weights // first weights, nil for random ones
	Budget   time.Duration  // stop after this time even if steps are left, 0 for never
	Progress progress.Progress
}

// Train trains an energy network on pictures by multiscale denoising score
// matching, in a run's folder. With Resume it goes on from the newest
// checkpoint there, which must be of the same settings and pictures.
func Train(ctx context.Context, rt *runtime.Runtime, s Settings, data *dataset.Set, o Options) (Result, error) {
	s.Data.Hash, s.Data.Pad = data.Hash(), data.Pad
	if err := s.Validate(); err != nil {
		return Result{}, err
	}
	if o.Resume {
		if err := checkResume(o.Dir, s); err != nil {
			return Result{}, err
		}
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return Result{}, err
	}
	for _, dir := range []string{o.Dir, filepath.Join(o.Dir, checkpointsName)} {
		if err := atomicfile.Clean(dir); err != nil {
			return Result{}, err
		}
	}
	if err := s.Write(o.Dir); err != nil {
		return Result{}, err
	}
	problem, err := NewProblem(s, data, o.Start)
	if err != nil {
		return Result{}, err
	}
	return Run(ctx, rt, problem, Loop{
		Steps: s.Steps, Budget: o.Budget, LearningRate: s.Optimiser.LearningRate, Dir: o.Dir, Resume: o.Resume,
		CheckpointEvery: s.Output.CheckpointEvery, KeepCheckpoints: s.Output.KeepCheckpoints, LogEvery: s.Output.LogEvery,
		Describe: s.Describe(), Progress: o.Progress,
	})
}

// Describe returns what files of this run's weights say about themselves.
func (s Settings) Describe() map[string]string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	d := map[string]string{
		"net": s.Net.Name, "dim": strconv.Itoa(s.Net.Dim), "channels": strconv.Itoa(s.Net.Channels), "size": strconv.Itoa(s.Data.Size),
		"head": string(s.Net.Head), "activation": string(s.Net.Activation),
		"data": s.Data.Name, "sigma0": number(s.Noise.Sigma0),
		"sigma_min": number(s.Noise.Min), "sigma_max": number(s.Noise.Max), "sigma_spacing": string(s.Noise.Spacing),
		"weighting": string(s.Noise.Weighting), "data_range": "[0, 1]",
	}
	if s.Data.Pad > 0 {
		d["pad"] = strconv.Itoa(s.Data.Pad)
	}
	if s.Preset != "" {
		d["preset"] = s.Preset
	}
	return d
}

// NewProblem makes the training problem of the settings: the step of the
// objective, and batches of pictures with the noise that it wants.
func NewProblem(s Settings, data *dataset.Set, first energy.Weights) (Problem, error) {
	net := s.Network()
	if data.Channels != net.Channels || data.Height != net.Size || data.Width != net.Size {
		return Problem{}, fmt.Errorf("%s has pictures of %d×%d×%d, the network wants %d×%d×%d",
			data.Name, data.Channels, data.Height, data.Width, net.Channels, net.Size, net.Size)
	}
	if data.Len() == 0 {
		return Problem{}, fmt.Errorf("%s has no pictures", data.Name)
	}
	source := rng.New(s.Seed)
	if first == nil {
		first = energy.Init(net, source)
	} else if err := first.Check(net); err != nil {
		return Problem{}, err
	}
	shape := append([]int{s.Batch}, net.InputShape()...)
	x := tensor.New(tensor.Float32, shape...)
	p := Problem{Optimiser: s.Adam(), Initial: first, Batch: map[string]*tensor.Tensor{"x": x}}
	fillNoise, err := s.pose(&p, net, source)
	if err != nil {
		return Problem{}, err
	}
	for _, parameter := range net.Parameters() {
		p.Order = append(p.Order, parameter.Name)
	}
	order := newOrder(source, data.Len())
	index, flip := make([]int, s.Batch), []bool(nil)
	if s.Data.Flip {
		flip = make([]bool, s.Batch)
	}
	p.Fill = func(t int) {
		for i := range index {
			index[i] = order.at(uint64(t-1)*uint64(s.Batch) + uint64(i))
			if flip != nil {
				flip[i] = source.Uint64(rng.Flip, uint64(i), uint32(t))&1 == 1
			}
		}
		data.Fill(tensor.Data[float32](x), index, flip)
		fillNoise(t)
	}
	return p, nil
}

// order is an endless sequence of pictures: every epoch is a permutation of
// all of them.
type order struct {
	source rng.Source
	n      int
	epoch  uint64
	perm   []int
}

func newOrder(source rng.Source, n int) *order { return &order{source: source, n: n} }

// at returns the number of the picture at a position of the sequence.
func (o *order) at(position uint64) int {
	epoch := position / uint64(o.n)
	if o.perm == nil || epoch != o.epoch {
		o.epoch, o.perm = epoch, o.source.Permutation(o.n, rng.Shuffle, epoch)
	}
	return o.perm[position%uint64(o.n)]
}

// checkResume compares the settings of the run in dir with those wanted now.
// What does not change the numbers may differ, and so may the number of
// steps, which sets where the run ends (and how the learning rate falls).
func checkResume(dir string, wanted Settings) error {
	had, err := ReadSettings(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	had.Steps, had.Output, had.Data.Dir, had.Start = wanted.Steps, wanted.Output, wanted.Data.Dir, wanted.Start
	if differ := differences(had, wanted); len(differ) > 0 {
		return fmt.Errorf("resume %s: the run there has other settings: %s", dir, strings.Join(differ, ", "))
	}
	return nil
}
