package langevin

import (
	"math"
	"slices"
	"testing"
)

func TestShardsCoverEverySample(t *testing.T) {
	whole := Default(103)
	whole.First = 7
	for _, n := range []int{1, 2, 5, 103} {
		at := whole.First
		for i := 1; i <= n; i++ {
			part, err := whole.Shard(i, n)
			if err != nil {
				t.Fatal(err)
			}
			if part.First != at || part.Count < 103/n || part.Count > 103/n+1 {
				t.Errorf("shard %d/%d: %d samples from %d, want to begin at %d", i, n, part.Count, part.First, at)
			}
			at += part.Count
		}
		if at != whole.First+whole.Count {
			t.Errorf("%d shards end before sample %d", n, at)
		}
	}
	for _, bad := range [][2]int{{0, 1}, {2, 1}, {1, 0}, {-1, -1}, {1, 104}} {
		if _, err := whole.Shard(bad[0], bad[1]); err == nil {
			t.Errorf("shard %d/%d has no error", bad[0], bad[1])
		}
	}
}

func TestSnapshots(t *testing.T) {
	if got := Snapshots(5, 100); !slices.Equal(got, []int{0, 25, 50, 75, 100}) {
		t.Error(got)
	}
	if got := Snapshots(9, 3); !slices.Equal(got, []int{0, 1, 2, 3}) {
		t.Error(got)
	}
	if got := Snapshots(1, 3); !slices.Equal(got, []int{3}) {
		t.Error(got)
	}
}

func TestSettingsErrors(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"step size":  func(s *Settings) { s.StepSize = 0 },
		"nan":        func(s *Settings) { s.StepSize = math.NaN() },
		"start":      func(s *Settings) { s.Start.Sigma = -1 },
		"mean":       func(s *Settings) { s.Start.Mean = math.Inf(1) },
		"count":      func(s *Settings) { s.Count = 0 },
		"first":      func(s *Settings) { s.First = -1 },
		"last":       func(s *Settings) { s.First = 1 << 48 },
		"batch":      func(s *Settings) { s.Batch = -1 },
		"block":      func(s *Settings) { s.StepsPerRun = -1 },
		"watch":      func(s *Settings) { s.Watch.Chains = -1 },
		"snapshots":  func(s *Settings) { s.Watch.Snapshots = []int{3, 3} },
		"beyond":     func(s *Settings) { s.Watch.Snapshots = []int{2701} },
		"schedule":   func(s *Settings) { s.Schedule.Steps = 0 },
		"no setting": func(s *Settings) { *s = Settings{} },
	} {
		s := Default(10)
		change(&s)
		if s.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := Default(1).Validate(); err != nil {
		t.Error(err)
	}
}
