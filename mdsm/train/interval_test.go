package train_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ebm/internal/testkit"
	"ebm/mdsm/train"
)

// TestYoung holds the formula with the numbers of docs/clusters.md: five years between the
// failures of a node, five seconds for a checkpoint.
func TestYoung(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for nodes, want := range map[time.Duration]float64{1: 662, 8: 234, 128: 58} {
		if got := train.Young(5*time.Second, 5*year/nodes).Minutes(); got < want-0.5 || got > want+0.5 {
			t.Errorf("%d nodes: a checkpoint every %.1f minutes, want %.0f", nodes, got, want)
		}
	}
}

// TestAutoCheckpoints trains with failures all the time, where every step is kept, and with
// none in a lifetime, where the first of a process and the last are; that run is stopped and
// goes on. The weights are those of another interval.
func TestAutoCheckpoints(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	s, data := tiny()
	s.Steps, s.Output.CheckpointEvery = 6, 4
	numbered := t.TempDir()
	if _, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: numbered}); err != nil {
		t.Fatal(err)
	}
	s.Output.CheckpointEvery, s.Output.MTBF = train.Auto, time.Nanosecond
	always, rarely := t.TempDir(), t.TempDir()
	var said []string
	o := train.Options{Dir: always, Log: func(line string) { said = append(said, line) }}
	if _, err := train.Train(t.Context(), rt, s, data, o); err != nil {
		t.Fatal(err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "a checkpoint takes") {
		t.Errorf("the run said %q, want what a checkpoint takes", said)
	}
	s.Output.MTBF = 1 << 62
	ctx, cancel := context.WithCancel(t.Context())
	stop := train.Hook(func(_ context.Context, u train.Update) error {
		if u.Step == 3 {
			cancel()
		}
		return nil
	})
	if _, err := train.Train(ctx, rt, s, data, train.Options{Dir: rarely, Hook: stop}); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that the run was stopped", err)
	}
	if back, err := train.ReadSettings(rarely); err != nil || back.Output != s.Output {
		t.Errorf("config.toml has %+v, error %v, want %+v", back.Output, err, s.Output)
	}
	if _, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: rarely, Resume: true}); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string][]int{always: {1, 2, 3, 4, 5, 6}, rarely: {1, 3, 4, 6}} {
		if got := steps(t, dir); !slices.Equal(got, want) {
			t.Errorf("checkpoints at %v, want %v", got, want)
		}
		sameState(t, "auto", dir, numbered)
	}
}

// TestIntervals reads what files and flags may say.
func TestIntervals(t *testing.T) {
	for text, want := range map[string]train.Interval{"0": 0, "500": 500, "auto": train.Auto} {
		if got, err := train.ParseInterval(text); err != nil || got != want || got.String() != text {
			t.Errorf("%s is %v, error %v", text, got, err)
		}
	}
	for _, text := range []string{"", "often", "1.5", "Auto"} {
		if _, err := train.ParseInterval(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
	s, _ := tiny()
	dir := t.TempDir()
	for _, c := range []struct {
		line, wrong string
		want        train.Interval
	}{{`checkpoint_every = 12`, "", 12}, {`checkpoint_every = "auto"`, "", train.Auto}, {`checkpoint_every = "often"`, "often", 0},
		{`checkpoint_every = 1.5`, "1.5", 0}} {
		if err := s.Write(dir); err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(testkit.Read(t, dir, "config.toml")), "checkpoint_every = 6", c.line, 1)
		testkit.Write(t, dir+"/config.toml", []byte(text))
		back, err := train.ReadSettings(dir)
		if c.wrong != "" {
			testkit.WantError(t, c.line, err, c.wrong)
		} else if err != nil || back.Output.CheckpointEvery != c.want {
			t.Errorf("%s: %v, error %v", c.line, back.Output.CheckpointEvery, err)
		}
	}
}
