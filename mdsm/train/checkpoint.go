package train

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ebm/internal/atomicfile"
	"ebm/models/energy"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// Checkpoint is the state of a run after some step, in a folder of its own.
type Checkpoint struct {
	Step int
	Dir  string
}

// ErrNoCheckpoint says that a run's folder has no checkpoint.
var ErrNoCheckpoint = errors.New("no checkpoint")

const (
	checkpointsName = "checkpoints"
	checkpointStem  = "step-"
	modelName       = "model.safetensors"
	stateName       = "state.safetensors"
	keepName        = "keep" // marks a checkpoint that stays when older ones go

	engineKey = "engine" // in the state's metadata: what computed, such as "onnxruntime 1.28.2 cpu"
)

// Checkpoints lists the checkpoints of the run in dir, oldest first. Those that
// lack a file are left out; [Incomplete] has them. A listing that was overtaken by
// a run that removes the only one it shows is made again.
func Checkpoints(dir string) ([]Checkpoint, error) {
	list, err := allCheckpoints(dir)
	for err == nil {
		whole := slices.DeleteFunc(slices.Clone(list), func(c Checkpoint) bool { return c.missing() != "" })
		if len(whole) > 0 {
			return whole, nil
		}
		before := list
		if list, err = allCheckpoints(dir); slices.Equal(list, before) {
			break
		}
	}
	return nil, err
}

// Incomplete lists the checkpoints of the run in dir that lack a file, because
// their removal or their copying was cut short.
func Incomplete(dir string) ([]Checkpoint, error) {
	list, err := allCheckpoints(dir)
	return slices.DeleteFunc(list, func(c Checkpoint) bool { return c.missing() == "" }), err
}

// incomplete is the error of a run whose only checkpoints are these.
func incomplete(list []Checkpoint) error {
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	return fmt.Errorf("checkpoint %s has no %s, and there is no whole one before it: remove it to begin anew", c.Dir, c.missing())
}

// missing returns the name of a file that the checkpoint lacks, "" for none.
func (c Checkpoint) missing() string {
	for _, name := range []string{modelName, stateName} {
		if info, err := os.Stat(filepath.Join(c.Dir, name)); err != nil || !info.Mode().IsRegular() {
			return name
		}
	}
	return ""
}

func allCheckpoints(dir string) ([]Checkpoint, error) {
	entries, err := os.ReadDir(filepath.Join(dir, checkpointsName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Checkpoint
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), checkpointStem)
		step, err := strconv.Atoi(digits)
		if ok && err == nil && e.IsDir() {
			list = append(list, Checkpoint{step, filepath.Join(dir, checkpointsName, e.Name())})
		}
	}
	slices.SortFunc(list, func(a, b Checkpoint) int { return a.Step - b.Step })
	return list, nil
}

// Newest returns the last checkpoint of the run in dir; the error is
// ErrNoCheckpoint when it has none.
func Newest(dir string) (Checkpoint, error) {
	list, err := Checkpoints(dir)
	if err != nil {
		return Checkpoint{}, err
	}
	if len(list) == 0 {
		return Checkpoint{}, fmt.Errorf("%s: %w", dir, ErrNoCheckpoint)
	}
	return list[len(list)-1], nil
}

// Weights reads the weights that the checkpoint is used with: the averaged
// ones if the run averages, and the trained ones otherwise.
func (c Checkpoint) Weights() (energy.Weights, error) {
	model, err := weights.Load(filepath.Join(c.Dir, modelName))
	if err != nil {
		return nil, err
	}
	state, err := weights.Load(filepath.Join(c.Dir, stateName))
	if err != nil {
		return nil, err
	}
	w := make(energy.Weights)
	for name, t := range model.All() {
		w[name] = t
		if average, ok := state.Get(name + ".ema"); ok {
			w[name] = average
		}
	}
	return w, nil
}

// save writes a checkpoint, completely or not at all, and returns its folder.
func save(dir string, step int, order []string, values map[string]*tensor.Tensor, describe map[string]string,
	engine string) (string, error) {
	parent := filepath.Join(dir, checkpointsName)
	// The run's folder is not made anew: one that is gone was removed.
	if err := os.Mkdir(parent, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	model, state := new(weights.Set), new(weights.Set)
	model.Metadata = maps.Clone(describe)
	state.Metadata = map[string]string{"step": strconv.Itoa(step), engineKey: engine}
	if model.Metadata == nil {
		model.Metadata = make(map[string]string)
	}
	model.Metadata["step"] = strconv.Itoa(step)
	for _, name := range order {
		if err := model.Add(name, values[name]); err != nil {
			return "", err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if slices.Contains(order, name) {
			continue
		}
		if err := state.Add(name, values[name]); err != nil {
			return "", err
		}
	}
	model.Seal()
	state.Seal()
	path := filepath.Join(parent, fmt.Sprintf("%s%08d", checkpointStem, step))
	err := atomicfile.Dir(path, func(tmp string) error {
		if err := weights.Save(filepath.Join(tmp, modelName), model); err != nil {
			return err
		}
		return weights.Save(filepath.Join(tmp, stateName), state)
	})
	return path, err
}

// restore copies the checkpoint into values, which says what is wanted, and
// returns what computed it, "" for old ones. It must not say of itself other
// than describe does.
func (c Checkpoint) restore(values map[string]*tensor.Tensor, describe map[string]string) (engine string, err error) {
	found := make(map[string]*tensor.Tensor)
	for _, file := range []string{modelName, stateName} {
		set, err := weights.Load(filepath.Join(c.Dir, file))
		if err != nil {
			return "", err
		}
		engine = set.Metadata[engineKey] // of the state, which comes last
		for name, t := range set.All() {
			found[name] = t
		}
		had := maps.Clone(describe)
		for key := range had {
			if says, ok := set.Metadata[key]; ok && key != "step" {
				had[key] = says
			}
		}
		if err := continues(c.Dir, had, describe); err != nil {
			return "", err
		}
	}
	for name, t := range values {
		f, ok := found[name]
		if !ok || f.DType() != t.DType() || !slices.Equal(f.Shape(), t.Shape()) {
			return "", fmt.Errorf("checkpoint %s: %s is %v, want %v", c.Dir, name, f, t)
		}
		t.CopyFrom(f)
		delete(found, name)
	}
	if len(found) > 0 {
		return "", fmt.Errorf("checkpoint %s: unexpected %s", c.Dir, slices.Sorted(maps.Keys(found))[0])
	}
	return engine, nil
}

// Keep marks the checkpoint as one that stays in its run however many newer
// ones follow, or takes the mark away. A checkpoint that is gone is no error.
func (c Checkpoint) Keep(keep bool) error {
	mark := filepath.Join(c.Dir, keepName)
	if keep && atomicfile.Exists(c.Dir) {
		return atomicfile.WriteFile(mark, nil)
	}
	if err := os.Remove(mark); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// prune removes all but the newest keep checkpoints and those that are marked;
// 0 keeps all.
func prune(dir string, keep int) error {
	if keep == 0 {
		return nil
	}
	list, err := Checkpoints(dir)
	if err != nil {
		return err
	}
	for _, c := range list[:max(len(list)-keep, 0)] {
		if atomicfile.Exists(filepath.Join(c.Dir, keepName)) {
			continue
		}
		if err := atomicfile.Remove(c.Dir); err != nil {
			return err
		}
	}
	return nil
}

// offer adds to an error of the run's checkpoint which one is before it, so
// that a person can decide to use that.
func (c Checkpoint) offer(run string, err error) error {
	list, listed := Checkpoints(run)
	before := slices.DeleteFunc(list, func(o Checkpoint) bool { return o.Step >= c.Step })
	if listed != nil || len(before) == 0 {
		return fmt.Errorf("checkpoint %s cannot be used: %w", c.Dir, err)
	}
	return fmt.Errorf("checkpoint %s cannot be used: %w; the one before it is %s", c.Dir, err, before[len(before)-1].Dir)
}

// NewestWeights returns the newest checkpoint of the run in dir and its weights
// ([Checkpoint.Weights]). When the run goes on meanwhile and removes the
// checkpoint before it is read, the next one is read. One that is damaged is an
// error that names the one before it.
func NewestWeights(dir string) (Checkpoint, energy.Weights, error) {
	for {
		c, err := Newest(dir)
		if err != nil {
			return c, nil, err
		}
		w, err := c.Weights()
		if err == nil {
			return c, w, nil
		}
		if again, _ := Newest(dir); !errors.Is(err, os.ErrNotExist) || again == c {
			return c, nil, c.offer(dir, err)
		}
	}
}
