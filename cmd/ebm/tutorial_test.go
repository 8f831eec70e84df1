package main

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ebm/internal/testkit"
)

// tiny makes a command of the tutorial one of seconds: other sizes, the same
// words.
func tiny(command string) string {
	value := func(flag string, change func(n int) int) {
		command = regexp.MustCompile(flag+` (\d+)`).ReplaceAllStringFunc(command, func(s string) string {
			n, _ := strconv.Atoi(s[len(flag)+1:]) // the pattern has digits alone
			return fmt.Sprintf("%s %d", flag, change(n))
		})
	}
	value("--steps", func(n int) int { return n/5000 + 2 }) // 30000 stays more than 20000
	value("--checkpoint-every", func(int) int { return 2 })
	for flag, size := range map[string]int{"--count": 4, "--dim": 2, "--batch": 4, "--size": 16} {
		value(flag, func(int) int { return size })
	}
	return command
}

// TestTutorial runs the commands of docs/tutorial.md, in their order, on a folder
// of pictures.
func TestTutorial(t *testing.T) {
	testkit.Long(t)
	text, err := os.ReadFile("../../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("photos", 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		photo(t, filepath.Join("photos", fmt.Sprintf("%02d.png", i)), i)
	}
	ran := 0
	for line := range strings.Lines(string(text)) {
		if command, ok := strings.CutPrefix(line, "    ebm "); ok {
			out := mustRun(t, append(strings.Fields(tiny(command)), "-q")...)
			if strings.HasPrefix(command, "verify") && !strings.Contains(out, "all checks passed") {
				t.Errorf("ebm %s: want what the tutorial says, all checks passed:\n%s", command, out)
			}
			ran++
		}
	}
	for _, path := range []string{
		"runs/photos/samples/grid.png", "runs/photos/samples/trace.json", "runs/photos/report.html", "runs/photos/metrics.jsonl",
		"runs/photos/model/score.onnx", "photos.safetensors", "theirs/samples.npz", "photos-model/README.md", "certificate.json",
	} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("after the tutorial: %v", err)
		}
	}
	if ran < 10 {
		t.Errorf("the tutorial has %d commands, want all steps from training to sharing", ran)
	}
}

// photo writes a picture of a disc, of another size and place each.
func photo(t *testing.T, path string, i int) {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 40, 30))
	for y := range 30 {
		for x := range 40 {
			c := color.RGBA{uint8(6 * x), uint8(8 * y), uint8(10 * i), 255}
			if (x-10-i)*(x-10-i)+(y-15)*(y-15) < 4*i {
				c = color.RGBA{250, 200, 40, 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
