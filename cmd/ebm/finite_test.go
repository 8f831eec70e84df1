package main

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ebm/internal/testkit"
)

// TestFiniteJSON holds the encoder to encoding/json wherever that has an answer,
// and to null where it has none.
func TestFiniteJSON(t *testing.T) {
	type inner struct {
		A float64 `json:"a"`
		B *int    `json:"b,omitempty"`
	}
	type outer struct {
		inner
		Inner
		List    []inner            `json:"list"`
		None    []float64          `json:"none"`
		Empty   []float64          `json:"empty,omitempty"`
		Map     map[string]float64 `json:"map"`
		Any     any                `json:"any"`
		At      time.Time          `json:"at"`
		Bytes   []byte             `json:"bytes"`
		Pair    [2]float32         `json:"pair"`
		Pointer *float64           `json:"pointer"`
		Plain   string
		Hidden  string `json:"-"`
	}
	seven := 7
	v := outer{inner{1, &seven}, Inner{2}, []inner{{A: 3}}, nil, nil, map[string]float64{"y": 1, "x": 2}, inner{A: 4}, time.Unix(1, 0).UTC(),
		[]byte("ab"), [2]float32{1, 2}, nil, "<\"é", "no"}
	want, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	plain, nulls, err := finiteJSON(v)
	if err != nil || nulls != nil || string(plain) != string(want) {
		t.Errorf("%s, %v, error %v, want %s", plain, nulls, err, want)
	}
	inf := math.Inf(1)
	v.C, v.List[0].A, v.Map["x"], v.Pair[1], v.Pointer = math.NaN(), inf, -inf, float32(inf), &inf
	got, nulls, err := finiteJSON(v)
	places := []string{"c", "list[0].a", "map.x", "pair[1]", "pointer"}
	if slices.Sort(nulls); err != nil || !slices.Equal(nulls, places) {
		t.Fatalf("nulls at %q, error %v, want %q", nulls, err, places)
	}
	r := strings.NewReplacer(`"c": 2`, `"c": null`, `"a": 3`, `"a": null`, `"x": 2`, `"x": null`, "    1,\n    2\n", "    1,\n    null\n")
	if string(got) != r.Replace(string(want)) {
		t.Errorf("%s, want %s", got, r.Replace(string(want)))
	}
}

// Inner is embedded and exported.
type Inner struct {
	C float64 `json:"c"`
}

// TestInfiniteDiagnostics has chains that never move, so that R-hat is infinite.
func TestInfiniteDiagnostics(t *testing.T) {
	out := filepath.Join(t.TempDir(), "samples")
	code, stdout, stderr := ebmRun(t, "sample", "--provider", "cpu", "--run", "testdata/formats/weights.safetensors", "--sampler",
		"mala", "--step-size", "1000",
		"--start", "mnist:test", "--count", "8", "--draws", "4", "--warmup", "0", "--out", out, "--json")
	for what, text := range map[string]string{"standard output": stdout,
		"diagnostics.json": string(testkit.Read(t, out, "diagnostics.json"))} {
		if code != 0 || !json.Valid([]byte(text)) || !strings.Contains(text, `"r_hat": null`) {
			t.Errorf("exit status %d, %s %q, want an R-hat of null\n%s", code, what, text, stderr)
		}
	}
	if !strings.Contains(stderr, "not finite, so null: diagnostics.energy.r_hat") {
		t.Errorf("standard error %q, want it to say what is not finite", stderr)
	}
}
