//go:build device

package bench

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"ebm/export/session"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/runtime"
)

// With each choice all nodes are on the device, and nothing is copied between it and the host. ELU as a
// node takes fewer launches.
func TestCUDAChoices(t *testing.T) {
	rt := cuda(t)
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 8}
	settings := tiny(t, Train, cudaBatch).Settings
	graphs := map[Job]*graph.Graph{
		Score: mdsm.ScoreGraph(n, energy.Init(n, rng.New(1))), Train: mdsm.TrainGraph(n, settings.Denoising(), settings.Adam()),
	}
	launches := make(map[string]uint64)
	for _, c := range []runtime.Choices{"none", "elu", "nhwc", "elu,nhwc"} {
		for job, g := range graphs {
			if job == Train && c.Has(runtime.NHWC) {
				continue // it is refused, see below
			}
			with, err := rt.With(c)
			if err != nil {
				t.Fatal(err)
			}
			prefix := filepath.Join(t.TempDir(), "profile")
			s, err := session.Load(with, g, map[string]int{"N": cudaBatch}, runtime.SessionOptions{Profile: prefix})
			if err != nil {
				t.Fatal(err)
			}
			in, _ := feeds(s)
			var each counters
			for range 2 { // the first also sets up what stays
				before := seenSoFar(t)
				if _, err := s.Run(t.Context(), in); err != nil {
					t.Fatal(err)
				}
				each = since(t, before)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			p, name := placed(t, prefix), string(job)+" "+string(c)
			launches[name] = each.Launches
			t.Logf("%s: %v; %d launches, %d of libraries, %d B inside", name, p, each.Launches, each.Library, each.Inside)
			if p.host > 0 || p.copies > 0 || with.Refused() != "" {
				t.Errorf("%s: %v, refused %q, want all on the device", name, p, with.Refused())
			}
			with.Close()
		}
	}
	for _, job := range []string{"score", "train"} {
		if a, b := launches[job+" elu"], launches[job+" none"]; !(a < b) {
			t.Errorf("%s: %d launches with ELU as a node and %d without, want fewer", job, a, b)
		}
	}
}

// Every form of chains runs and can be timed; those of a training step do without the channels
// last, which want constant weights.
func TestCUDATuning(t *testing.T) {
	rt := cuda(t)
	for _, job := range []Job{Train, Sample} {
		spec := tiny(t, job, cudaBatch)
		spec.Settings = spec.Settings.ShardsFor(rt.Info())
		tuning := Tuning{Load: func(ctx context.Context, rt *runtime.Runtime) (func(context.Context) (float64, error), func(), error) {
			w, err := New(ctx, rt, spec)
			if err != nil {
				return nil, nil, err
			}
			return func(ctx context.Context) (float64, error) { _, err := w.Run(ctx); return 0, err }, w.Close, nil
		}}
		best, rows, err := tuning.Fastest(t.Context(), rt, rt.Info().Alternatives())
		if err != nil || len(rows) != 6 {
			t.Fatalf("%s: %+v, error %v, want two rows for each of three choices", job, rows, err)
		}
		t.Logf("%s: %s\n%s", job, best, TuningTable(rows))
		for i, r := range rows {
			if refused := job == Train && i == 3; refused != strings.HasPrefix(r.Problem, "nhwc: ") || !refused && r.Problem != "" {
				t.Errorf("%s: row %+v", job, r)
			}
		}
	}
}
