package watch_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ebm/cmd/internal/watch"
	"ebm/internal/testkit"
)

const formats = "../../ebm/testdata/formats"

// lastLine is the time of the last line of metrics in the run of formats.
var lastLine = time.UnixMilli(1795994418076)

// folder returns a folder of runs: one of formats, one whose name and settings
// are hostile, samples under way, and a secret beside it.
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
	testkit.Write(t, filepath.Join(testkit.Mkdir(t, dir, "<b>bad"), "config.toml"), []byte("steps = \"<script>alert(1)</script>\"\n"))
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
	if len(found.Runs) != 2 || len(found.Drawings) != 2 {
		t.Fatalf("found %+v, want two runs and two folders of samples", found)
	}
	bad, run := found.Runs[0], found.Runs[1]
	if bad.ID != "<b>bad" || !strings.Contains(bad.Problem, "config.toml") {
		t.Errorf("the hostile run is %+v, want its problem", bad)
	}
	if run.ID != "a/run" || run.Step != 6 || run.Steps != 6 || run.Loss == nil || *run.Loss < 200 || run.Running || run.Data != "mnist" {
		t.Errorf("the run is %+v, want the six steps of mnist that ended", run)
	}
	for _, d := range found.Drawings {
		if want := map[string]int{"a/run/samples": 6, "drawing": 8}[d.ID]; d.Count != want || d.Done != want || d.Whole != (d.ID == "a/run/samples") {
			t.Errorf("samples are %+v, want %d of %d", d, want, want)
		}
	}
}

func TestRunPages(t *testing.T) {
	h := handler(t)
	status, body := get(t, h, "/run?id=a/run", nil)
	for _, want := range []string{"<svg", "loss", "data:image/png", "step 6 of 6"} {
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("the run's page (status %d) has no %q", status, want)
		}
	}
	status, body = get(t, h, "/run?id=a/run&id=%3Cb%3Ebad", nil)
	if status != http.StatusOK || strings.Contains(body, "<b>bad") || !strings.Contains(body, "&lt;b&gt;bad") {
		t.Errorf("status %d: the hostile name is not escaped", status)
	}
	if status, body = get(t, h, "/", nil); status != http.StatusOK || !strings.Contains(body, "watch.js") {
		t.Errorf("the list: status %d, %s", status, body)
	}
	if status, body = get(t, h, "/watch.js", nil); status != http.StatusOK || !strings.Contains(body, "refresh") {
		t.Errorf("the script: status %d, %s", status, body)
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
		{"/run?id=none", nil, http.StatusNotFound},
		{"/run?id=../runs/a/run", nil, http.StatusNotFound},
		{"/run", nil, http.StatusBadRequest},
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
		if status, body := get(t, h, c.url, c.change); status != c.status && !(c.status == http.StatusNotFound && status == http.StatusMovedPermanently) || strings.Contains(body, "a secret") {
			t.Errorf("%s: status %d, %q, want %d", c.url, status, body, c.status)
		}
	}
	if _, err := watch.Handler(watch.Options{Dir: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a folder that is not there: no error")
	}
	if err := watch.Serve(t.Context(), watch.Options{Dir: t.TempDir(), Address: "0.0.0.0:0"}); err == nil || !strings.Contains(err.Error(), "0.0.0.0:0") {
		t.Errorf("an address of every network: %v", err)
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
