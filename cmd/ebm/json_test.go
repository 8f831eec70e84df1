package main

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
)

var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// jsonCommands are commands whose result is for programs too, at a size that
// takes a moment. RUN, WEIGHTS, ENERGY and SAMPLES are files.
func jsonCommands() []string {
	return []string{
		"models", "models mnist16", "version", "runtime info", "runtime uninstall --yes",
		"inspect RUN", "inspect RUN/checkpoints/step-00000003", "inspect WEIGHTS", "inspect ENERGY", "inspect mnist16", "inspect RUN --graph",
		"inspect ENERGY --graph --after simplify",
		"convert WEIGHTS a.npz",
		"gradient ENERGY --wrt x --out g.onnx",
		"export --run RUN --out e --kinds score", "export --run RUN --out w --for float16",
		"sample --run RUN --count 2 --steps 3 --crop 0 --out s",
		"sample --run RUN --sampler mala --count 4 --draws 2 --steps 3 --warmup 2 --thin 1 --out m",
		"sample --run RUN --count 2 --steps 3 --crop 0 --part 1/2 --out parts",
		"sample --run RUN --count 2 --steps 3 --crop 0 --part 2/2 --out parts", "merge parts",
		"tune-sampler --run RUN --budget 4 --recipes 1 --count 8 --reference 20 --out t.json",
		"denoise --run RUN --images s/samples.npz --noise 0.1 --out d",
		"score --run RUN --images s/samples.npz",
		"inpaint --run RUN --images s/samples.npz --mask left --completions 1 --steps 3 --out i",
		"restore --run RUN --images s/samples.npz --task missing --evaluations 3 --samples 1 --out r",
		"training-step ENERGY --loss mdsm --out t.onnx",
		"compose --run RUN --out c",
		"evaluate --samples s/samples.npz --reference s/samples.npz --features pixels",
		"likelihood --run RUN --images s/samples.npz --count 2 --chains 2 --distributions 3 --hmc-steps 2 --out l",
		"likelihood --toy gaussian --dim 2 --count 2 --chains 2 --distributions 3",
		"verify --run RUN --without-training",
		"compare RUN RUN",
		"watch .",
		"bench --net res6 --dim 4 --size 16 --batch 2 --runs 1",
	}
}

// Keys are snake_case, and every command that has a result has it in JSON.
func TestJSON(t *testing.T) {
	testkit.Long(t)
	formats, err := filepath.Abs("testdata/formats")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	files := strings.NewReplacer("RUN", filepath.Join(formats, "run"), "WEIGHTS", filepath.Join(formats, "weights.safetensors"), "ENERGY",
		filepath.Join(formats, "energy.onnx"))
	ran := make(map[string]bool)
	for _, line := range jsonCommands() {
		args := append(strings.Fields(files.Replace(line)), "--json", "-q")
		var v any
		if err := json.Unmarshal([]byte(mustRun(t, args...)), &v); err != nil {
			t.Errorf("ebm %s: %v", line, err)
		}
		walkKeys(v, "", func(path, key string) {
			if !snakeCase.MatchString(key) {
				t.Errorf("ebm %s: key %q of %q, want snake_case", line, key, path)
			}
		})
		ran[args[0]] = true
	}
	// Trainings and the paper's experiments take longer; their own tests read
	// what they print.
	tested := []string{"train", "sweep", "fit", "classifier", "demo", "reproduce"}
	for _, c := range commands() {
		name := strings.Fields(c.CommandPath())[1]
		if name == "help" || name == "completion" {
			continue
		}
		if c.Flags().Lookup("json") == nil {
			t.Errorf("%s has no --json", c.CommandPath())
		}
		if !ran[name] && !slices.Contains(tested, name) {
			t.Errorf("the JSON of %s is not looked at", c.CommandPath())
		}
	}
}

// walkKeys calls visit for every key in v with the path to it.
func walkKeys(v any, path string, visit func(path, key string)) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			visit(path, key)
			walkKeys(inner, path+"."+key, visit)
		}
	case []any:
		for _, inner := range v {
			walkKeys(inner, path, visit)
		}
	}
}
