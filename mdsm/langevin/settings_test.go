package langevin

import (
	"math"
	"slices"
	"testing"
)

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
