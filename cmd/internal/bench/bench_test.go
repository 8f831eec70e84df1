package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"ebm"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/runtime"
)

// tiny is a job on a network of a millisecond.
func tiny(t *testing.T, job Job, batch int) Spec {
	t.Helper()
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 8}
	s := Spec{Job: job, Weights: energy.Init(n, rng.New(1)), Steps: 7}
	var err error
	if s.Settings, err = Settings(n, batch); err != nil {
		t.Fatal(err)
	}
	if s.Chains, err = (&ebm.Model{Network: n, Weights: s.Weights, Meta: ebm.PaperMeta()}).Files(); err != nil {
		t.Fatal(err)
	}
	return s
}

func ready(t *testing.T, rt *runtime.Runtime, s Spec) *Work {
	t.Helper()
	w, err := New(t.Context(), rt, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// scores returns the counted operations of a score of the tiny network for one
// picture.
func scores(t *testing.T, s Spec) float64 {
	t.Helper()
	v, err := mdsm.ScoreGraph(s.Settings.Network(), s.Weights).FLOPs(map[string]int{"N": 1})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Every job runs, and its operations are those of as many scores as it has.
func TestJobs(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 1)
	for _, test := range []struct {
		job    Job
		batch  int
		scores float64 // 0 for not compared
	}{
		{Score, 5, 5}, {Sample, 3, 3 * (7 + 1)}, {Train, 4, 3 * 4}, {Features, 1, 0},
	} {
		s := tiny(t, test.job, test.batch)
		w := ready(t, rt, s)
		r, err := w.Measure(t.Context(), 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !(r.MinMS > 0 && r.MinMS <= r.MedianMS) || r.Runs != 2 || r.Threads != 1 || r.Provider != "cpu" || r.Batch != test.batch {
			t.Errorf("%+v", r)
		}
		// Training multiplies the head and its derivatives a little less often.
		if want := test.scores * scores(t, s); want > 0 && math.Abs(w.Written-want) > 0.02*want {
			t.Errorf("%s: %g operations, want %g", test.job, w.Written, want)
		}
		if !(w.Computed > 0 && w.Computed <= w.Written) || r.WrittenFLOPs != w.Written ||
			math.Abs(r.ComputedGFLOPS*r.MinMS*1e6-w.Computed) > 1e-6*w.Computed {
			t.Errorf("%s: %g operations as written, %g as computed, %+v", test.job, w.Written, w.Computed, r)
		}
		// torchvision's documentation gives 5.71 billion multiply-adds for its
		// Inception network, whose auxiliary classifier is not part of it.
		if g := w.Written / 2e9; test.job == Features && math.Abs(g-5.71) > 0.1 {
			t.Errorf("features: %.3f billion multiply-adds", g)
		}
		if (test.job == Sample) != (r.ChainOverScore > 0) {
			t.Errorf("%s: a step is %g scores", test.job, r.ChainOverScore)
		}
		text := r.String()
		for _, want := range []string{string(test.job), "ONNX Runtime " + r.ONNXRuntime, "1 thread\n", "of 2 runs"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in\n%s", want, text)
			}
		}
	}
}

func TestWrongSpecs(t *testing.T) {
	rt := testkit.Open(t, 1)
	for _, test := range []struct {
		want   string
		change func(*Spec)
	}{
		{`unknown job "nap"`, func(s *Spec) { s.Job = "nap" }},
		{"batch 0, want", func(s *Spec) { s.Settings.Batch = 0 }},
		{"res7", func(s *Spec) { s.Settings.Net.Name = "res7" }},
		{"steps", func(s *Spec) { s.Job, s.Steps = Sample, 0 }},
		{"missing", func(s *Spec) { s.Job, s.Weights = Train, energy.Weights{} }},
	} {
		s := tiny(t, Score, 2)
		test.change(&s)
		if w, err := New(t.Context(), rt, s); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want an error with %q", err, test.want)
			if err == nil {
				w.Close()
			}
		}
	}
	if _, err := Settings(energy.ResNet{Net: "res12", Channels: 1, Dim: 4, Size: 30}, 1); err == nil {
		t.Error("pictures of a size that the network does not take: no error")
	}
}

func TestMedian(t *testing.T) {
	if got := median([]time.Duration{9, 1, 5}); got != 5 {
		t.Error(got)
	}
	if got := median([]time.Duration{9, 1, 5, 7}); got != 6 {
		t.Error(got)
	}
}

// Another program reads a report, then a time for every line, then a report.
func TestTurns(t *testing.T) {
	w := ready(t, testkit.Open(t, 1), tiny(t, Score, 2))
	var out bytes.Buffer
	if err := w.Turns(t.Context(), strings.NewReader("\n\nlast, without an end"), &out); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(&out)
	var before, after Report
	var times [3]float64
	for _, v := range []any{&before, &times[0], &times[1], &times[2], &after} {
		if err := d.Decode(v); err != nil {
			t.Fatal(err)
		}
	}
	if before.Runs != 0 || before.Job != Score || before.WrittenFLOPs != w.Written || after.Runs != 3 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	least := min(times[0], times[1], times[2])
	if least <= 0 || math.Abs(after.MinMS-least) > 1e-5 {
		t.Errorf("the least of %v is %g", times, after.MinMS)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Errorf("more follows: %v", err)
	}
}

func TestTurnsEndWithTheContext(t *testing.T) {
	w := ready(t, testkit.Open(t, 1), tiny(t, Score, 2))
	ctx, cancel := context.WithCancel(t.Context())
	in, feed := io.Pipe() // nothing is ever written
	defer feed.Close()
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := w.Turns(ctx, in, io.Discard); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	broken := errors.New("broken")
	in, feed = io.Pipe()
	feed.CloseWithError(broken)
	if err := w.Turns(t.Context(), in, io.Discard); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// TestPeakMemory makes sure that memory that was given back counts.
func TestPeakMemory(t *testing.T) {
	before := peakMemory()
	if before == 0 {
		t.Skip("it is not known on this system")
	}
	block := make([]byte, 256<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	if after := peakMemory(); after < 256<<20 || after < before {
		t.Errorf("%d bytes before 256 MB were written to, %d after", before, after)
	}
}
