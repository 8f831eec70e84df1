package report

import (
	"bytes"
	"ebm/internal/testkit"
	"encoding/base64"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// dot is a PNG of one pixel; its bytes are fixed because those of an encoder
// may change.
func dot(t testing.TB) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// small has every kind of section in a few lines.
func small(t testing.TB) *Document {
	t.Helper()
	return &Document{
		Title: "A run", Summary: "What came of it.", Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Sections: []Section{
			Text{Title: "Words", Paragraphs: []string{"One.", "Two."}},
			Facts{Title: "Settings", Note: "As given.", Items: []Fact{
				{"Steps", 12345, "", ""}, {"Step size", float32(0.02), "", "ε"}, {"Averaged", true, "", ""}, {"Width", 2.0, "px", ""},
			}},
			Chart{
				Title: "Loss", X: Axis{Label: "step"}, Marks: []Mark{{2, "resumed"}},
				Panels: []Panel{
					{Y: Axis{Label: "loss", Unit: "nats", Log: true}, Series: []Series{
						{Name: "raw", X: []float64{0, 1, 2, 3}, Y: []float64{100, math.NaN(), 10, 1}, Faint: true},
						{Name: "smooth", X: []float64{0, 1, 3}, Y: []float64{50, 20, 2}, Low: []float64{40, 15, 1}, High: []float64{60, 30, 3}},
					}},
					{Y: Axis{Label: "rate"}, Series: []Series{{Name: "rate", X: []float64{0, 4}, Y: []float64{0, 1}}}},
				},
			},
			Gallery{Title: "Samples", Pictures: []Picture{{Caption: "one", Width: 10, File: "samples/grid.png", Data: dot(t)}}},
			Chart{Title: "Histogram", X: Axis{Label: "energy"}, Panels: []Panel{{Y: Axis{Label: "share"}, Series: []Series{
				Outline("test", "mean 1.5", []float64{0, 1, 3}, []float64{0.6, 0.2}),
			}}}},
			Metrics{Title: "Numbers", Note: "As measured.", Items: []Metric{
				{Key: "fid", Name: "FID", Value: 12.3456, Deviation: math.NaN(), Better: "lower", Samples: 64, Reference: 60000, Against: "train",
					Features: "inception", Warnings: []string{"too few", "odd"}},
				{Key: "kid", Name: "KID", Value: 0.5, Deviation: 0.25, Unit: "nats", Warnings: []string{"too few"}},
			}},
			Table{Title: "Files", Columns: []Column{{"name", ""}, {"size", "MB"}}, Rows: [][]any{{"a.onnx", 4.92}, {"b.onnx", nil}}},
			Checks{Title: "Checks", Items: []Check{
				{"score", 3.1e-7, 1e-6, false, "", "central differences"}, {"accepted", 0.4, 0.5, true, "", "a classifier"},
			}},
			Timings{Title: "Time", Items: []Timing{{"training", 90 * time.Second, "300 steps"}, {"export", 250 * time.Millisecond, ""}}},
			Commands{Title: "Again", Items: []Command{{"ebm demo --seed 1 > log", "everything"}}},
		},
	}
}

func html(t testing.TB, d *Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := d.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func encoded(t testing.TB, d *Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := d.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	page := html(t, small(t))
	// The style is its own source; the page's structure is what is held here.
	style := regexp.MustCompile(`(?s)<style>.*</style>`)
	for name, got := range map[string]string{
		"small.html": style.ReplaceAllString(page, "<style></style>"),
		"small.json": encoded(t, small(t)),
	} {
		path := filepath.Join("testdata", name)
		if *update {
			testkit.Write(t, path, []byte(got))
		}
		want := testkit.Read(t, path)
		if got != string(want) {
			t.Errorf("%s differs from what is written; run with -update and look at the difference", path)
		}
	}
}

func TestPageNeedsNothingElse(t *testing.T) {
	page := html(t, fixture(t))
	for _, outside := range []string{"<script", "http:", "https:", "//", "@import", "url(", "<link", "<iframe"} {
		// Base64 has slashes; only what is around it counts.
		bare := regexp.MustCompile(`data:image/png;base64,[^"]*`).ReplaceAllString(page, "")
		if strings.Contains(bare, outside) {
			t.Errorf("the page has %q", outside)
		}
	}
	if n := strings.Count(page, "<svg"); n < 6 {
		t.Errorf("%d drawings", n)
	}
	for _, open := range []string{"section", "figure", "svg", "table", "ul", "li", "div", "dl", "g", "p"} {
		opened := len(regexp.MustCompile("<"+open+"[ >]").FindAllString(page, -1))
		if closed := strings.Count(page, "</"+open+">"); opened != closed {
			t.Errorf("%d <%s> are opened and %d closed", opened, open, closed)
		}
	}
}

func TestTextIsEscaped(t *testing.T) {
	evil := `"><script>alert('x')</script>&amp;`
	series := []Series{{Name: evil, X: []float64{1, 2}, Y: []float64{1, 2}}}
	d := &Document{Title: evil, Summary: evil, Sections: []Section{
		Text{evil, evil, []string{evil}}, Facts{evil, evil, evil, []Fact{{evil, evil, evil, evil}}},
		Chart{evil, evil, evil, Axis{evil, evil, false}, []Panel{{Axis{evil, evil, false}, series}}, []Mark{{1.5, evil}}},
		Gallery{evil, evil, evil, []Picture{{evil, evil, 0, evil, dot(t)}, {Caption: evil, Data: dot(t)}}},
		Table{evil, evil, evil, []Column{{evil, evil}}, [][]any{{evil}}}, Checks{evil, evil, evil, []Check{{evil, 1, 2, false, evil, evil}}},
		Timings{evil, evil, evil, []Timing{{evil, time.Second, evil}}}, Commands{evil, evil, evil, []Command{{evil, evil}}},
	}}
	page := html(t, d)
	if strings.Contains(page, "<script") || strings.Contains(page, `"">`) {
		t.Error("markup in the text became markup in the page")
	}
	if n := strings.Count(page, "&lt;script&gt;"); n < 35 {
		t.Errorf("the text occurs %d times in the page, want at least 35", n)
	}
}

func TestJSONRoundTrip(t *testing.T) {
	for _, d := range []*Document{small(t), fixture(t), {Title: "empty"}} {
		first := encoded(t, d)
		if !json.Valid([]byte(first)) {
			t.Fatal("not JSON")
		}
		back, err := ReadJSON(strings.NewReader(first))
		if err != nil {
			t.Fatal(err)
		}
		if second := encoded(t, back); first != second {
			t.Errorf("%s: the document that was read has other JSON", d.Title)
		}
		if html(t, d) != html(t, back) {
			t.Errorf("%s: the document that was read has another page", d.Title)
		}
	}
}

func TestJSONHasNumbersAsNumbers(t *testing.T) {
	var file struct {
		ChecksPassed int `json:"checks_passed"`
		ChecksTotal  int `json:"checks_total"`
		Sections     []struct {
			Kind   string
			Items  []map[string]any
			Panels []struct{ Series []struct{ Y []*float64 } }
		}
	}
	if err := json.Unmarshal([]byte(encoded(t, small(t))), &file); err != nil {
		t.Fatal(err)
	}
	if file.ChecksPassed != 1 || file.ChecksTotal != 2 {
		t.Errorf("%d of %d checks passed, want 1 of 2", file.ChecksPassed, file.ChecksTotal)
	}
	if v := file.Sections[1].Items[1]["value"]; v != 0.02 { // a float32 by its shortest decimal
		t.Errorf("step size is %v", v)
	}
	if y := file.Sections[2].Panels[0].Series[0].Y; len(y) != 4 || y[1] != nil || *y[2] != 10 {
		t.Errorf("series %v", y)
	}
	if m := file.Sections[5].Items[1]; m["value"] != 0.5 || m["deviation"] != 0.25 || file.Sections[5].Items[0]["deviation"] != nil {
		t.Errorf("metric %v", m)
	}
	check := file.Sections[7].Items[1]
	if check["measured"] != 0.4 || check["limit"] != 0.5 || check["relation"] != "at least" || check["passed"] != false {
		t.Errorf("check %v", check)
	}
	if s := file.Sections[8].Items[1]["seconds"]; s != 0.25 {
		t.Errorf("timing of %v seconds", s)
	}
}

func TestReadJSONRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":              "EOF",
		"[]":            "cannot unmarshal",
		`{"version":2}`: "version 2",
		`{"version":1,"sections":[{"kind":"poem"}]}`:                                                     `"poem"`,
		`{"version":1,"sections":[{"kind":"facts","items":[{"name":"a","value":[1]}]}]}`:                 "section 1",
		`{"version":1,"sections":[{"kind":"table","columns":[{"name":"a"}],"rows":[[1,2]]}]}`:            "row 1 has 2 cells",
		`{"version":1,"sections":[{"kind":"gallery","pictures":[{"data":"AAAA"}]}]}`:                     "picture 1",
		`{"version":1,"sections":[{"kind":"checks","items":[{"name":"a","relation":"about"}]}]}`:         `"about"`,
		`{"version":1,"sections":[{"kind":"timings","items":[{"name":"a","seconds":1e300}]}]}`:           "seconds",
		`{"version":1,"sections":[{"kind":"chart","panels":[{"y":{},"series":[{"x":[1],"y":[1,2]}]}]}]}`: "2 values at 1 places",
	} {
		_, err := ReadJSON(strings.NewReader(in))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", in, err, want)
		}
	}
}

func TestInvalidSectionsAreNamed(t *testing.T) {
	for want, s := range map[string]Section{
		"section 1 is nil":        nil,
		`facts "a": fact "b"`:     Facts{Title: "a", Items: []Fact{{Name: "b", Value: []int{1}}}},
		`chart "a": no panels`:    Chart{Title: "a"},
		`mark "m" at NaN`:         Chart{Panels: []Panel{{}}, Marks: []Mark{{math.NaN(), "m"}}},
		`1 lower and 0 upper`:     Chart{Panels: []Panel{{Series: []Series{{X: []float64{1}, Low: []float64{1}}}}}},
		`width -1`:                Gallery{Pictures: []Picture{{Width: -1, Data: dot(t)}}},
		`metric 1 has the key ""`: Metrics{Items: []Metric{{Name: "n"}}},
		`better when "up"`:        Metrics{Items: []Metric{{Key: "k", Name: "n", Better: "up"}}},
		"took -1s":                Timings{Items: []Timing{{"t", -time.Second, ""}}},
		`column "c"`:              Table{Columns: []Column{{"c", ""}}, Rows: [][]any{{uint64(math.MaxUint64)}}},
	} {
		d := &Document{Sections: []Section{s}}
		for _, err := range []error{d.WriteHTML(&bytes.Buffer{}), d.WriteJSON(&bytes.Buffer{})} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want one with %q", err, want)
			}
		}
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		check Check
		want  bool
	}{
		{Check{Measured: 1, Limit: 1}, true}, {Check{Measured: 1, Limit: 1, AtLeast: true}, true},
		{Check{Measured: 2, Limit: 1}, false}, {Check{Measured: 0, Limit: 1, AtLeast: true}, false},
		{Check{Measured: math.NaN(), Limit: 1}, false}, {Check{Measured: math.NaN(), Limit: 1, AtLeast: true}, false},
	} {
		if c.check.Passed() != c.want {
			t.Errorf("%+v passed: %v", c.check, !c.want)
		}
	}
	good, bad := Check{Measured: 0, Limit: 1}, Check{Measured: 2, Limit: 1}
	for want, items := range map[string][]Check{
		"all 2 checks passed": {good, good}, "1 of 2 checks passed": {good, bad}, "the check passed": {good},
	} {
		if !strings.Contains(html(t, &Document{Sections: []Section{Checks{Items: items}}}), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	if err := small(t).Write(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{HTMLFile: html(t, small(t)), JSONFile: encoded(t, small(t))} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v, want %d", name, len(got), err, len(want))
		}
	}
}

func FuzzReadJSON(f *testing.F) {
	f.Add([]byte(encoded(f, small(f))))
	f.Add([]byte(`{"version":1,"title":"a","sections":[{"kind":"chart",` +
		`"x":{"log":true},"panels":[{"y":{"log":true},"series":[{"x":[1e308,1,-1,null],"y":[1e-320,2,3,4]}]}],"marks":[{"at":1}]}]}`))
	f.Add([]byte(`{"version":1,"sections":[{"kind":"facts","items":[{"value":1.0},{"value":1},{"value":null},{"value":1e99}]}]}`))
	f.Add([]byte(`{"version":1,"sections":[{"kind":"metrics","items":[{"key":"a","name":"b","value":null,"warnings":["c"]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ReadJSON(bytes.NewReader(data))
		if err != nil {
			return
		}
		page := html(t, d)
		if strings.Contains(page, "NaN") && !bytes.Contains(data, []byte("N")) {
			t.Fatal("a drawing has NaN in it")
		}
		first := encoded(t, d)
		again, err := ReadJSON(strings.NewReader(first))
		if err != nil {
			t.Fatalf("cannot read back %s: %v", first, err)
		}
		if second := encoded(t, again); first != second {
			t.Fatalf("%s\nbecame\n%s", first, second)
		}
	})
}
