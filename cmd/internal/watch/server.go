package watch

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ebm/cmd/internal/report"
	"ebm/internal/files"
	"ebm/internal/metrics"
	"ebm/mdsm/train"
)

//go:embed files
var assets embed.FS

// Options say what is watched, and where it is shown.
type Options struct {
	Dir string // a run, or a folder of runs
	// Address is where it listens, "" for a free port of 127.0.0.1. It must be a
	// loopback address.
	Address string
	// Ready, when not nil, gets the page's address once it answers.
	Ready func(url string)
	// Now tells the time; nil is time.Now.
	Now func() time.Time
}

// Serve shows the runs below a folder until ctx ends, which is no error.
func Serve(ctx context.Context, o Options) error {
	handler, err := Handler(o)
	if err != nil {
		return err
	}
	address := cmp.Or(o.Address, "127.0.0.1:0")
	if err := CheckAddress(address); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		stopped <- server.Shutdown(last)
	}()
	if o.Ready != nil {
		o.Ready("http://" + listener.Addr().String() + "/")
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// CheckAddress returns an error for what is no address and port of this machine alone.
func CheckAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if n, bad := strconv.ParseUint(port, 10, 16); err == nil && bad == nil && loopback(host) && strconv.FormatUint(n, 10) == port {
		return nil
	}
	return fmt.Errorf("address %q, want one of this machine alone and a port, such as 127.0.0.1:8080", address)
}

// Handler answers for the runs below o.Dir.
func Handler(o Options) (http.Handler, error) {
	info, err := os.Stat(o.Dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file, want a run or a folder of runs", o.Dir)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	pages, err := template.ParseFS(assets, "files/*.html")
	if err != nil {
		return nil, err
	}
	s := &server{root: o.Dir, now: o.Now, pages: pages}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page("list.html"))
	mux.HandleFunc("GET /run", s.page("run.html"))
	mux.HandleFunc("GET /runs.json", s.runs)
	mux.HandleFunc("GET /report", s.report)
	mux.HandleFunc("GET /file/{path...}", s.file)
	for _, name := range []string{"watch.js", "run.js", "watch.css"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, assets, "files/"+name) })
	}
	return guard(mux), nil
}

type server struct {
	root    string
	now     func() time.Time
	pages   *template.Template
	scanner scanner
}

// page shows a page that fills itself in from the other answers.
func (s *server) page(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		// What fails while it is written was asked by a reader who has gone.
		_ = s.pages.ExecuteTemplate(w, name, map[string]string{"Dir": s.root})
	}
}

func (s *server) runs(w http.ResponseWriter, _ *http.Request) {
	found, err := s.scanner.scan(s.root, s.now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(found)
}

// report is the part of a run's page that changes: of one run, or of several beside
// each other, /report?id=a&id=b.
func (s *server) report(w http.ResponseWriter, r *http.Request) {
	ids := r.URL.Query()["id"]
	if len(ids) == 0 || len(ids) > 20 {
		http.Error(w, fmt.Sprintf("%d runs are named, want 1 to 20", len(ids)), http.StatusBadRequest)
		return
	}
	doc, err := s.document(ids)
	if err != nil {
		status := http.StatusInternalServerError
		if errors.Is(err, fs.ErrNotExist) {
			status = http.StatusNotFound
		}
		http.Error(w, err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = doc.WriteHTML(w)
}

func (s *server) document(ids []string) (*report.Document, error) {
	doc := &report.Document{Title: strings.Join(ids, ", ")}
	var all [][]metrics.Record
	facts := report.Facts{Title: "Progress"}
	var settings []map[string]string
	for _, id := range ids {
		dir := locate(s.root, id)
		o, problem := train.Outline{}, fs.ErrNotExist
		if dir != "" {
			o, problem = train.ReadOutline(dir)
		}
		if errors.Is(problem, fs.ErrNotExist) {
			return nil, fmt.Errorf("run %q: %w below %s", id, fs.ErrNotExist, s.root)
		}
		r := new(scanner).run(dir, id, o, problem, s.now())
		records, err := metrics.ReadFile(filepath.Join(dir, metrics.LinesFile))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		all = append(all, records)
		fact := report.Fact{Name: id, Value: fmt.Sprintf("step %d of %d", r.Step, r.Steps),
			Note: fmt.Sprintf("%s on %s, %s", r.Network, r.Data, r.State())}
		if problem != nil {
			fact.Value, fact.Note = "cannot be read", r.Problem
		}
		facts.Items = append(facts.Items, fact)
		settings = append(settings, o.Values)
	}
	doc.Sections = append(doc.Sections, facts)
	if panels := report.Curves(ids, all); len(panels) > 0 {
		doc.Sections = append(doc.Sections, report.Chart{Title: "Metrics", X: report.Axis{Label: "step"}, Panels: panels})
	}
	for _, id := range ids {
		pictures, err := s.pictures(id)
		if err != nil {
			return nil, err
		}
		if len(pictures) > 0 {
			doc.Sections = append(doc.Sections, report.Gallery{Title: "Pictures of " + id, Note: "The newest first.", Pictures: pictures})
		}
	}
	if len(ids) > 1 {
		doc.Sections = append(doc.Sections, differences(ids, settings))
	}
	return doc, nil
}

// State says in words what a run does: its problem, the time left, done, stopped.
func (r Run) State() string {
	switch {
	case r.Problem != "":
		return r.Problem
	case r.Left != nil:
		return fmt.Sprintf("%v left", time.Duration(*r.Left*float64(time.Second)).Round(time.Second))
	case r.Running:
		return "going on"
	case r.Steps > 0 && r.Step >= int64(r.Steps):
		return "done"
	case !r.Updated.IsZero():
		return "stopped, last metrics " + r.Updated.UTC().Format(time.DateTime+" UTC")
	}
	return "no metrics yet"
}

// differences is a table of the settings that are not the same in all runs.
func differences(ids []string, settings []map[string]string) report.Table {
	t := report.Table{Title: "Settings that differ", Columns: []report.Column{{Name: "setting"}}}
	keys := map[string]bool{}
	for i, values := range settings {
		t.Columns = append(t.Columns, report.Column{Name: ids[i]})
		for key := range values {
			keys[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		row, same := []any{key}, true
		for _, values := range settings {
			row = append(row, values[key])
			same = same && values[key] == settings[0][key]
		}
		if !same {
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

// Pictures that a run's page shows: at most so many, the newest first, and none
// that is larger.
const (
	mostPictures    = 8
	mostPictureSize = 4 << 20
)

// pictures returns the grids of samples below a run.
func (s *server) pictures(id string) ([]report.Picture, error) {
	type found struct {
		name string
		at   time.Time
	}
	var list []found
	dir := locate(s.root, id)
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || path.Ext(e.Name()) != ".png" || filepath.Base(filepath.Dir(p)) == "png" {
			return ignoreGone(err)
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > mostPictureSize {
			return ignoreGone(err)
		}
		list = append(list, found{p, info.ModTime()})
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b found) int { return b.at.Compare(a.at) })
	var pictures []report.Picture
	for _, f := range list[:min(len(list), mostPictures)] {
		data, err := os.ReadFile(f.name)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, err
		}
		rel, err := filepath.Rel(dir, f.name)
		if err != nil {
			return nil, err
		}
		pictures = append(pictures, report.Picture{
			Caption: filepath.ToSlash(rel) + ", " + f.at.Format(time.DateTime), Alt: "samples of " + id, Width: 480, Data: data,
		})
	}
	return pictures, nil
}

// ignoreGone lets a file that was removed meanwhile pass.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// shown are the names of the files that are given out as they are.
var shown = map[string]string{
	report.HTMLFile: "text/html; charset=utf-8", report.JSONFile: "application/json", "grid.png": "image/png",
}

// file gives out a file of a known name. A report is a page of its own policy,
// which allows no scripts; here it may not be framed or send anything either.
func (s *server) file(w http.ResponseWriter, r *http.Request) {
	name, err := url.PathUnescape(r.PathValue("path"))
	kind, ok := shown[path.Base(name)]
	at := locate(s.root, name)
	if err != nil || !ok || at == "" || !files.IsRegular(at) {
		http.NotFound(w, r)
		return
	}
	f, err := os.Open(at)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Security-Policy", "sandbox; "+policy)
	http.ServeContent(w, r, path.Base(name), time.Time{}, f)
}
