package metrics

import (
	"bytes"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ebm/internal/testkit"
)

// clock returns a function that counts seconds from a fixed time.
func clock() func() time.Time {
	now := time.Unix(1767225600, 125e6)
	return func() time.Time {
		defer func() { now = now.Add(time.Second) }()
		return now
	}
}

func mustOpen(t *testing.T, dir string, after int64) *Writer {
	t.Helper()
	w, err := open(dir, after, clock())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func add(t *testing.T, w *Writer, from, to int64) {
	t.Helper()
	for step := from; step <= to; step++ {
		if err := w.Add(step, map[string]float64{"loss": 100 / float64(step), "grad_norm": 0.5}); err != nil {
			t.Fatal(err)
		}
	}
}

func closed(t *testing.T, w *Writer) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, LinesFile))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLines(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, dir, -1)
	add(t, w, 1, 1)
	if err := w.Add(8, map[string]float64{"loss": math.Inf(1), `a "b"`: 1e-300}); err != nil {
		t.Fatal(err)
	}
	closed(t, w)
	want := `{"step":1,"time":1767225601.125,"grad_norm":0.5,"loss":100}
{"step":8,"time":1767225602.125,"a \"b\"":1e-300,"loss":null}
`
	if got := contents(t, dir); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	records, err := ReadFile(filepath.Join(dir, LinesFile))
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 2 || records[0].Step != 1 || records[0].Values["loss"] != 100 ||
		!records[0].Time.Equal(time.UnixMilli(1767225601125)) || !math.IsNaN(records[1].Values["loss"]) {
		t.Errorf("read %v", records)
	}
}

func TestAddRefuses(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, dir, -1)
	add(t, w, 1, 5)
	for want, r := range map[string]Record{
		"step 4 comes after step 5": {Step: 4},
		`called "time"`:             {Step: 6, Values: map[string]float64{"time": 1}},
		`called ""`:                 {Step: 6, Values: map[string]float64{"": 1}},
	} {
		before := contents(t, dir)
		if err := w.Add(r.Step, r.Values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
		if contents(t, dir) != before {
			t.Errorf("a refused record (%s) changed the file", want)
		}
	}
	closed(t, w)
}

// A run that is stopped anywhere after the checkpoint of step 4 and resumed
// from it ends with the file of a run that was never stopped.
func TestResumeLeavesTheFileOfAnUninterruptedRun(t *testing.T) {
	testkit.Long(t)
	dir := t.TempDir()
	w := mustOpen(t, dir, -1)
	add(t, w, 1, 8)
	closed(t, w)
	want := contents(t, dir)
	fourLines := strings.Index(want, `{"step":5`)

	for cut := fourLines; cut <= len(want); cut++ {
		if err := os.WriteFile(filepath.Join(dir, LinesFile), []byte(want[:cut]), 0o644); err != nil {
			t.Fatal(err)
		}
		w := mustOpen(t, dir, 4)
		if got := contents(t, dir); got != want[:fourLines] {
			t.Fatalf("after %d bytes, resume left\n%s", cut, got)
		}
		w.now = clock()
		for range 5 { // the time of the resumed steps is that of the first run
			w.now()
		}
		add(t, w, 5, 8)
		closed(t, w)
		if got := contents(t, dir); got != want {
			t.Fatalf("after %d bytes, the resumed run left\n%s", cut, got)
		}
	}
}

func TestResumeAfterAMachineWentDown(t *testing.T) {
	good := `{"step":1,"time":1,"loss":2}` + "\n"
	for name, c := range map[string]struct {
		file, want, err string
	}{
		"zeros at the end":          {good + "\x00\x00\x00", good, ""},
		"zeros, then a later line":  {good + "\x00\x00" + `{"step":9,"time":1}` + "\n", good, ""},
		"damage, then a later line": {good + "{{\n" + `{"step":9,"time":1}` + "\n", good, ""},
		"damage, then a kept line":  {good + "{{\n" + good, "", "line 2 is damaged"},
		"no file":                   {"", "", ""},
	} {
		path := filepath.Join(t.TempDir(), LinesFile)
		if err := os.WriteFile(path, []byte(c.file), 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := openLines(path, 5)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: error %v, want one with %q and the path", name, err, c.err)
			}
			c.want = c.file
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if err := l.file.Close(); err != nil {
			t.Error(err)
		}
		if got := contents(t, filepath.Dir(path)); got != c.want {
			t.Errorf("%s: left %q, want %q", name, got, c.want)
		}
	}
}

func TestCreateDropsAnEarlierRun(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, dir, -1)
	add(t, w, 0+1, 3)
	closed(t, w)
	w, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	closed(t, w)
	if got := contents(t, dir); got != "" {
		t.Errorf("lines of the earlier run are left: %s", got)
	}
	if _, err := Resume(dir, -1); err == nil {
		t.Error("Resume took step -1")
	}
	if _, err := Create(filepath.Join(dir, "absent")); err == nil {
		t.Error("Create took a folder that does not exist")
	}
}

func TestReadNamesTheLine(t *testing.T) {
	good := `{"step":1,"time":1,"loss":2}` + "\n"
	for _, bad := range []string{
		"", "[]", `{"time":1}`, `{"step":1}`, `{"step":1.5,"time":1}`, `{"step":-1,"time":1}`,
		`{"step":1,"time":null}`, `{"step":1,"time":1e300}`, `{"step":1,"time":1,"loss":"2"}`, `{"step":1,"time":1,"loss":1e999}`,
	} {
		_, err := Read(strings.NewReader(good + bad + "\n" + good))
		if err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: error %v, want one that names line 2", bad, err)
		}
	}
	records, err := Read(strings.NewReader(good + good[:9]))
	if err != nil || len(records) != 1 {
		t.Errorf("with an incomplete last line: %v, %v", records, err)
	}
}

// picture returns a small grey or coloured picture.
func picture(grey bool) image.Image {
	rect := image.Rect(0, 0, 4, 3)
	if grey {
		img := image.NewGray(rect)
		for i := range img.Pix {
			img.Pix[i] = uint8(20 * i)
		}
		return img
	}
	img := image.NewRGBA(rect)
	for i := range 12 {
		img.SetRGBA(i%4, i/4, color.RGBA{uint8(20 * i), 100, 0, 255})
	}
	return img
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"step":1,"time":1767225601.125,"grad_norm":0.5,"loss":null}` + "\n"))
	f.Add([]byte(`{"step":1,"time":1}` + "\n" + `{"step":2,"time":-1.0005,"a":1e-320}` + "\n{"))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		var first []byte
		for _, r := range records {
			if first, err = r.appendLine(first); err != nil {
				return // a name that the format takes but the writer does not
			}
		}
		again, err := Read(bytes.NewReader(first))
		if err != nil {
			t.Fatalf("cannot read back %q: %v", first, err)
		}
		var second []byte
		for _, r := range again {
			if second, err = r.appendLine(second); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(first, second) {
			t.Fatalf("%q became %q", first, second)
		}
	})
}

func FuzzResume(f *testing.F) {
	good := `{"step":1,"time":1,"loss":2}` + "\n"
	f.Add([]byte(good+"{\n"), int64(1))
	f.Add([]byte(good+good+"\x00"), int64(0))
	f.Add([]byte(good+"{\n"+good), int64(7))
	f.Fuzz(func(t *testing.T, data []byte, step int64) {
		path := filepath.Join(t.TempDir(), LinesFile)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := openLines(path, step)
		if err == nil {
			err = l.file.Close()
		}
		left, readErr := os.ReadFile(path)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if !bytes.HasPrefix(data, left) {
			t.Fatalf("%q became %q", data, left)
		}
		if err != nil {
			if !bytes.Equal(data, left) {
				t.Fatalf("an error (%v) but %q became %q", err, data, left)
			}
			return
		}
		records, err := Read(bytes.NewReader(left))
		if err != nil {
			t.Fatalf("cannot read what is left, %q: %v", left, err)
		}
		for _, r := range records {
			if r.Step > step {
				t.Fatalf("step %d is left after a resume from %d", r.Step, step)
			}
		}
	})
}
