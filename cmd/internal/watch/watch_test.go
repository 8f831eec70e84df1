package watch_test

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ebm/cmd/internal/watch"
	"ebm/internal/metrics"
	"ebm/internal/testkit"
)

const formats = "../../ebm/testdata/formats"

// lastLine is the time of the last line of metrics in the run of formats.
var lastLine = time.UnixMilli(1795994418076)

// folder returns a folder of runs: one of formats, one that stopped before its end,
// one whose name and settings are hostile, two parts of samples under way, and a
// secret beside it.
func folder(t *testing.T) (dir, secret string) {
	t.Helper()
	top := t.TempDir()
	dir = testkit.Mkdir(t, top, "runs")
	if err := os.CopyFS(filepath.Join(dir, "a", "run"), os.DirFS(filepath.Join(formats, "run"))); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "drawing"), os.DirFS(filepath.Join(formats, "unfinished"))); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "a", "run", "samples"), os.DirFS(filepath.Join(formats, "samples"))); err != nil {
		t.Fatal(err)
	}
	stopped := testkit.Mkdir(t, dir, "b")
	config := string(testkit.Read(t, filepath.Join(formats, "run", "config.toml")))
	testkit.Write(t, filepath.Join(stopped, "config.toml"), []byte(strings.Replace(config, "steps = 6", "steps = 9", 1)))
	writer, err := metrics.Create(stopped)
	if err != nil {
		t.Fatal(err)
	}
	for step := range int64(3) {
		if err := writer.Add(step+1, map[string]float64{"loss": 3, "validation_loss": 2, "validation_loss/0.1": 1,
			"validation_loss/3": math.NaN()}); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	record := string(testkit.Read(t, filepath.Join(dir, "drawing", "samples.json")))
	part := strings.Replace(strings.Replace(record, `"first": 0`, `"first": 8`, 1), `"count": 8`, `"count": 40`, 1)
	testkit.Write(t, filepath.Join(testkit.Mkdir(t, dir, "drawing2"), "samples.json"), []byte(part))
	testkit.Write(t, filepath.Join(testkit.Mkdir(t, dir, "<b>bad"), "config.toml"), []byte("steps = \"<script>alert(1)</script>\"\n"))
	testkit.Write(t, filepath.Join(testkit.Mkdir(t, dir, "without steps"), "config.toml"), []byte("preset = \"<b>\"\n"))
	testkit.Write(t, filepath.Join(dir, "job", "parts.json"), []byte(`{"command": "restore", "flags": {}}`))
	beat := testkit.Write(t, filepath.Join(dir, "job", "parts", "000001-of-000002.json"),
		[]byte(`{"part": "1/2", "host": "n1", "done": 4, "total": 30, "unit": "steps", "rate": 4}`+"\n"))
	if err := os.Chtimes(beat, lastLine, lastLine.Add(50*time.Second)); err != nil {
		t.Fatal(err)
	}
	testkit.Write(t, filepath.Join(testkit.Mkdir(t, dir, "search"), "sweep.json"), []byte(`{"base": {}, "runs": [`+
		`{"name": "batch=8,seed=1", "set": {"batch": "8"}, "seed": 1, "steps": 9, "done": true, "held_out_loss": 3},`+
		`{"name": "batch=4,seed=1", "set": {"batch": "4"}, "seed": 1, "steps": 9, "done": true, "held_out_loss": 2},`+
		`{"name": "batch=2,seed=1", "set": {"batch": "2"}, "seed": 1, "steps": 9}]}`))
	secret = testkit.Write(t, filepath.Join(top, "report.html"), []byte("a secret"))
	testkit.Write(t, filepath.Join(dir, "a", "run", "notes.txt"), []byte("not shown"))
	if err := os.Symlink(secret, filepath.Join(dir, "a", "report.html")); err != nil {
		t.Fatal(err)
	}
	return dir, secret
}

func get(t *testing.T, h http.Handler, url string, change func(*http.Request)) (status int, body string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, url, nil)
	r.Host = "127.0.0.1:8080"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("%s: no security policy", url)
	}
	return w.Code, w.Body.String()
}

func handler(t *testing.T) http.Handler {
	t.Helper()
	dir, _ := folder(t)
	h, err := watch.Handler(watch.Options{Dir: dir, Now: func() time.Time { return lastLine.Add(time.Minute) }})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestRuns(t *testing.T) {
	status, body := get(t, handler(t), "/runs.json", nil)
	var found watch.Found
	if err := json.Unmarshal([]byte(body), &found); err != nil || status != http.StatusOK {
		t.Fatalf("status %d, %v: %s", status, err, body)
	}
	if len(found.Runs) != 4 || len(found.Drawings) != 3 {
		t.Fatalf("found %+v, want four runs and three folders of samples", found)
	}
	two := 2.0
	if want := []watch.Sweep{{ID: "search", Done: 2, Count: 3, Best: "batch 4", HeldOut: &two}}; !reflect.DeepEqual(found.Sweeps, want) {
		t.Errorf("sweeps are %+v, want %+v", found.Sweeps, want)
	}
	bad, run, stopped := found.Runs[0], found.Runs[1], found.Runs[2]
	if stopped.Step != 3 || stopped.HeldOut == nil || *stopped.HeldOut != 2 || len(stopped.Losses) != 3 || run.HeldOut != nil {
		t.Errorf("the run that stopped is %+v, want three steps and the held-out loss", stopped)
	}
	if want := []watch.Job{{Parts: []string{"drawing", "drawing2"}, Done: 8, Count: 48}}; !reflect.DeepEqual(found.Jobs, want) {
		t.Errorf("jobs are %+v, want %+v", found.Jobs, want)
	}
	if bad.ID != "<b>bad" || !strings.Contains(bad.Problem, "config.toml") {
		t.Errorf("the hostile run is %+v, want its problem", bad)
	}
	if empty := found.Runs[3]; empty.ID != "without steps" || !strings.Contains(empty.Problem, "steps 0") {
		t.Errorf("the run without steps is %+v, want its problem", empty)
	}
	if run.ID != "a/run" || run.Step != 6 || run.Steps != 6 || run.Loss == nil || *run.Loss < 200 || run.Running || run.Data != "mnist" {
		t.Errorf("the run is %+v, want the six steps of mnist that ended", run)
	}
	shared := found.Shared
	if len(shared) != 1 || shared[0].ID != "job" || shared[0].Running != 1 || shared[0].Left == nil || *shared[0].Left != 14 {
		t.Errorf("parts are %+v, want one that runs, and what is left of two of its size", shared)
	}
	for _, d := range found.Drawings {
		if want := map[string]int{"a/run/samples": 6, "drawing": 8, "drawing2": 40}[d.ID]; d.Count != want || d.Done != want &&
			d.ID != "drawing2" || d.Whole != (d.ID == "a/run/samples") {
			t.Errorf("samples are %+v, want %d of %d", d, want, want)
		}
	}
}

func TestRunPages(t *testing.T) {
	h := handler(t)
	status, body := get(t, h, "/report?id=a/run", nil)
	for _, want := range []string{"<svg", "loss", "data:image/png", "step 6 of 6"} {
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("the run's page (status %d) has no %q", status, want)
		}
	}
	status, body = get(t, h, "/report?id=a/run&id=%3Cb%3Ebad", nil)
	if status != http.StatusOK || strings.Contains(body, "<b>bad") || !strings.Contains(body, "&lt;b&gt;bad") ||
		!strings.Contains(body, "cannot be read") || strings.Contains(body, "step 0 of 0") {
		t.Errorf("status %d: the hostile name is not escaped", status)
	}
	if status, body = get(t, h, "/", nil); status != http.StatusOK || !strings.Contains(body, "watch.js") {
		t.Errorf("the list: status %d, %s", status, body)
	}
	for name, want := range map[string]string{"/watch.js": "refresh", "/run.js": "refresh", "/watch.css": "table", "/run?id=a/run": "run.js"} {
		if status, body = get(t, h, name, nil); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: status %d, %s", name, status, body)
		}
	}
	status, body = get(t, h, "/report?id=a/run&id=b", nil)
	for _, want := range []string{"Settings that differ", "<td>steps</td><td>6</td><td>9</td>", "b, held out", "step 3 of 9"} {
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("the comparison (status %d) has no %q", status, want)
		}
	}
	if status, _ = get(t, h, "/file/a/run/samples/grid.png", nil); status != http.StatusOK {
		t.Errorf("the grid: status %d", status)
	}
}

// TestRefuses asks for what is not to be had.
func TestRefuses(t *testing.T) {
	h := handler(t)
	for _, c := range []struct {
		url    string
		change func(*http.Request)
		status int
	}{
		{"/report?id=none", nil, http.StatusNotFound},
		{"/report?id=../runs/a/run", nil, http.StatusNotFound},
		{"/report", nil, http.StatusBadRequest},
		{"/file/a/run/notes.txt", nil, http.StatusNotFound},
		{"/file/a/run/config.toml", nil, http.StatusNotFound},
		{"/file/a/report.html", nil, http.StatusNotFound}, // a link to the outside
		{"/file/..%2freport.html", nil, http.StatusNotFound},
		{"/file/%2e%2e/report.html", nil, http.StatusNotFound},
		{"/file/%252e%252e/report.html", nil, http.StatusNotFound},
		{"/elsewhere", nil, http.StatusNotFound},
		{"/", func(r *http.Request) { r.Method = http.MethodPost }, http.StatusMethodNotAllowed},
		{"/", func(r *http.Request) { r.Host = "attacker.example" }, http.StatusForbidden},
		{"/", func(r *http.Request) { r.Host = "127.0.0.1.attacker.example:8080" }, http.StatusForbidden},
		{"/runs.json", func(r *http.Request) { r.Header.Set("Origin", "http://attacker.example") }, http.StatusForbidden},
		{"/runs.json", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
		{"/runs.json", func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:8080") }, http.StatusOK},
		{"/", func(r *http.Request) { r.Host = "[::1]:9" }, http.StatusOK},
		{"/", func(r *http.Request) { r.Host = "localhost" }, http.StatusOK},
	} {
		if status, body := get(t, h, c.url, c.change); status != c.status &&
			!(c.status == http.StatusNotFound && status == http.StatusMovedPermanently) || strings.Contains(body, "a secret") {
			t.Errorf("%s: status %d, %q, want %d", c.url, status, body, c.status)
		}
	}
	if _, err := watch.Handler(watch.Options{Dir: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a folder that is not there: no error")
	}
	for _, address := range []string{"0.0.0.0:0", ":8080", "127.0.0.1", "localhost:http", "localhost:65536", "localhost:-1", "example.org:80",
		"[::]:80", "127.0.0.1:+80"} {
		if err := watch.Serve(t.Context(), watch.Options{Dir: t.TempDir(), Address: address}); err == nil ||
			!strings.Contains(err.Error(), `"`+address+`"`) {
			t.Errorf("address %q: error %v, want one that names it", address, err)
		}
	}
	for _, address := range []string{"127.0.0.1:0", "localhost:8080", "[::1]:80", "127.1.2.3:65535"} {
		if err := watch.CheckAddress(address); err != nil {
			t.Error(err)
		}
	}
}

// TestServe asks a listener once, and ends it.
func TestServe(t *testing.T) {
	dir, _ := folder(t)
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- watch.Serve(ctx, watch.Options{Dir: dir, Ready: func(url string) { ready <- url }})
	}()
	answer, err := http.Get(<-ready + "runs.json")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || !strings.Contains(string(body), `"a/run"`) {
		t.Errorf("the listener says %s, %v", body, err)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it goes on after its context ended")
	}
}
