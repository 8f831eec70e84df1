package reproduce

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ebm/cmd/internal/report"
	"ebm/internal/atomicfile"
	"ebm/mdsm/dataset"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// Options say how items are made.
type Options struct {
	Dir   string // of everything that is written; one process at a time
	Scale Scale
	// Model is the reference of a model that takes the place of all that are
	// trained or shipped; "" for none.
	Model string
	// Data are folders of data sets that do not find themselves, by name.
	Data      map[string]string
	Inception string // file of the Inception network's weights, "" looks where they usually are
	Seed      uint64
	Budget    time.Duration        // that each objective trains on digits, 0 for the scale's
	Clock     func() time.Duration // by which that is counted, nil for that of the wall
	Progress  progress.Progress
	Log       func(line string) // gets lines for a person; nil for none
}

// version changes whenever results of equal settings do.
const version = 1

// study is one run of items.
type study struct {
	Options
	rt  *runtime.Runtime
	n   numbers
	dir string // of the item that runs

	models map[string]*subject
	sets   map[setKey]*dataset.Set
}

type setKey struct {
	name  string
	split dataset.Split
	size  int
}

// outcome is what an item's function found.
type outcome struct {
	rows     []Row
	settings map[string]any
	differs  []string
	sections []report.Section
}

func (o *outcome) differ(format string, args ...any) {
	o.differs = append(o.differs, fmt.Sprintf(format, args...))
}

// Run makes the items one after the other and the report over all whose
// results are in the folder. An item that cannot be made, for want of its data,
// does not keep the others from being made; the error then names it.
func Run(ctx context.Context, rt *runtime.Runtime, items []Item, o Options) ([]Result, error) {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Budget == 0 {
		o.Budget = o.Scale.budget()
	}
	s := &study{Options: o, rt: rt, n: o.Scale.numbers(), models: make(map[string]*subject), sets: make(map[setKey]*dataset.Set)}
	defer s.close()
	release, err := atomicfile.Fill(o.Dir, "reproduce", "ebm reproduce")
	if err != nil {
		return nil, err
	}
	defer release()
	var results []Result
	var failed []error
	stage := progress.Begin(o.Progress, "items", int64(len(items)), "items")
	defer stage.Done()
	for _, item := range items {
		stage.Note(item.Name)
		r, err := s.make(ctx, item)
		if err != nil {
			if ctx.Err() != nil {
				return results, ctx.Err()
			}
			failed = append(failed, fmt.Errorf("%s: %w", item.Name, err))
			o.Log(failed[len(failed)-1].Error())
		} else {
			results = append(results, r)
		}
		stage.Add(1)
	}
	if err := s.report(); err != nil {
		return results, err
	}
	return results, errors.Join(failed...)
}

// make returns the result of an item, from its folder if it is there.
func (s *study) make(ctx context.Context, item Item) (Result, error) {
	s.dir = filepath.Join(s.Dir, item.Name)
	began := time.Now()
	used, err := s.subjects(ctx, item.models(s.Scale)...)
	if err != nil {
		return Result{}, err
	}
	r := Result{Item: item.Name, About: item.About, Paper: item.Paper, Scale: s.Scale}
	for _, m := range used {
		r.Models = append(r.Models, m.used())
	}
	if r.Key, err = s.key(item, r.Models); err != nil {
		return r, err
	}
	if old, err := readResult(s.dir); err == nil && old.Key == r.Key {
		s.Log(item.Name + ": its result is there")
		return old, nil
	}
	if err := atomicfile.MkdirAll(s.dir); err != nil {
		return r, err
	}
	stale, err := pictureFiles(s.dir)
	if err != nil {
		return r, err
	}
	for _, name := range stale {
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
			return r, err
		}
	}
	out, err := item.do(ctx, s)
	if err != nil {
		return r, err
	}
	r.Rows, r.Settings, r.Differs = out.rows, out.settings, out.differs
	r.Seconds, r.Ended = time.Since(began).Seconds(), time.Now().UTC().Truncate(time.Second)
	if r.Files, err = pictureFiles(s.dir); err != nil {
		return r, err
	}
	doc := &report.Document{Title: item.About, Summary: "The paper's " + item.Paper + ", at the scale “" + string(s.Scale) + "”.",
		Created: r.Ended, Sections: out.sections}
	if err := doc.Write(s.dir); err != nil {
		return r, err
	}
	return r, r.write(s.dir)
}

// key is a hash of all that an item's result follows from.
func (s *study) key(item Item, models []UsedModel) (string, error) {
	all := map[string]any{
		"version": version, "item": item.Name, "scale": s.Scale, "numbers": s.n, "models": models, "seed": s.Seed, "data": s.Data,
		"inception": s.Inception,
	}
	if item.Name == objectivesName {
		all["budget"] = s.Budget
	}
	text, err := json.Marshal(all)
	return fmt.Sprintf("%x", sha256.Sum256(text)), err
}

func (s *study) close() {
	for _, m := range s.models {
		m.close()
	}
}

// set loads a data set once. size is that of the pictures.
func (s *study) set(ctx context.Context, name string, split dataset.Split, size int) (*dataset.Set, error) {
	key := setKey{name, split, size}
	if set, ok := s.sets[key]; ok {
		return set, nil
	}
	set, err := dataset.Load(ctx, dataset.Spec{Name: name, Dir: s.Data[name], Split: split, Size: size, Seed: 1, Log: s.Log})
	if err != nil {
		return nil, err
	}
	if s.Scale == Smoke {
		set = cut(set, smokePictures)
	}
	s.sets[key] = set
	return set, nil
}

// smokePictures are all that the smoke scale takes of a data set.
const smokePictures = 512

// cut returns the first n pictures of a set.
func cut(set *dataset.Set, n int) *dataset.Set {
	if set.Len() <= n {
		return set
	}
	few := *set
	few.Pixels = set.Pixels[:n*set.Channels*set.Height*set.Width]
	if set.Labels != nil {
		few.Labels = set.Labels[:n]
	}
	return &few
}

// pictureFiles lists the pictures in an item's folder.
func pictureFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".png" && !atomicfile.IsTemporary(e.Name()) {
			list = append(list, e.Name())
		}
	}
	slices.Sort(list)
	return list, nil
}
