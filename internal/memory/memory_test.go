package memory

import (
	"math"
	"strings"
	"testing"
)

func TestEstimates(t *testing.T) {
	if Limit() < 1<<20 {
		t.Errorf("the limit is %d bytes", Limit())
	}
	for _, c := range []struct {
		factors [][]int
		says    string // "" for what fits
	}{
		{nil, ""},
		{[][]int{{4, 1000}, {0, math.MaxInt}}, ""},
		{[][]int{{4, math.MaxInt}}, "more than"},
		{[][]int{{8, 1 << 57}}, "1.15 EB"},
		{[][]int{{math.MaxInt}, {math.MaxInt}}, "more than"},
		{[][]int{{-1, 4}}, "more than"},
	} {
		var e Estimate
		for _, f := range c.factors {
			e.Add(f...)
		}
		err := e.Check("batch 5")
		if (err == nil) != (c.says == "") || err != nil &&
			(!strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "batch 5, want less")) {
			t.Errorf("%v: error %v, want %q", c.factors, err, c.says)
		}
	}
	for bytes, want := range map[int64]string{999: "999 bytes", 1000: "1 kB", 1234567: "1.23 MB", 999900000: "1 GB"} {
		if got := text(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
	}
}
