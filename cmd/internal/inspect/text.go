package inspect

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"ebm/models/zoo"
)

// maxText bounds what is shown of one text of a file.
const maxText = 400

// WriteText writes the description in words.
func (d *Description) WriteText(w io.Writer) error {
	p := &page{}
	switch {
	case d.ONNX != nil:
		p.onnx(d.Ref, d.ONNX)
	case d.Weights != nil:
		p.weightsFile(d.Ref, d.Weights)
	case d.Run != nil:
		p.run(d.Ref, d.Run)
	case d.Checkpoint != nil:
		p.checkpoint(d.Ref, d.Checkpoint)
	}
	_, err := w.Write(p.Bytes())
	return err
}

// page collects lines and tables.
type page struct{ bytes.Buffer }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// table writes rows in columns under a heading, or nothing without rows.
func (p *page) table(heading string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	if heading != "" {
		p.line("\n%s", heading)
	}
	t := tabwriter.NewWriter(p, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		for len(row) > 0 && row[len(row)-1] == "" {
			row = row[:len(row)-1]
		}
		fmt.Fprintf(t, "  %s\n", strings.Join(row, "\t"))
	}
	t.Flush() // into memory, which does not fail
}

func (p *page) onnx(ref string, m *ONNX) {
	p.line("%s: ONNX model, %s", ref, sizeText(m.Bytes))
	if m.Doc != "" {
		p.line("%s", plain(m.Doc))
	}
	rows := [][]string{
		{"producer", strings.TrimSpace(plain(m.Producer) + " " + plain(m.ProducerVersion))},
		{"IR version", strconv.FormatInt(m.IRVersion, 10)},
		{"operators", opsetText(m.Opsets)},
		{"graph", fmt.Sprintf("%s, %s", or(plain(m.Graph), "without a name"), count(m.Nodes, "node"))},
		{"weights", weightText(m.Weights)},
	}
	if m.Subgraphs > 0 {
		rows[3][1] += ", " + count(m.Subgraphs, "subgraph")
	}
	if m.Functions > 0 {
		rows[3][1] += ", " + count(m.Functions, "function")
	}
	p.table("", rows)
	p.table("inputs", valueRows(m.Inputs))
	p.table("outputs", valueRows(m.Outputs))
	rows = nil
	for _, o := range m.Operators {
		rows = append(rows, []string{plain(o.Name), strconv.Itoa(o.Count)})
	}
	p.table("nodes by operator", rows)
	p.table("metadata", pairRows(m.Metadata))
	rows = nil
	for _, e := range m.External {
		state := e.Problem
		if state == "" {
			state = "present, " + sizeText(e.Bytes)
		}
		rows = append(rows, []string{or(plain(e.Location), "(no location)"), count(e.Tensors, "tensor"), sizeText(e.Wanted), state})
	}
	p.table("external data: file, what it holds, least size, state", rows)
}

func weightText(w WeightCount) string {
	if w.Tensors == 0 {
		return "none"
	}
	return fmt.Sprintf("%s, %s, %s", count(w.Tensors, "tensor"), count(w.Elements, "value"), sizeText(w.Bytes))
}

func opsetText(opsets []Opset) string {
	var parts []string
	for _, o := range opsets {
		parts = append(parts, fmt.Sprintf("%s opset %d", or(plain(o.Domain), "standard"), o.Version))
	}
	return or(strings.Join(parts, ", "), "no opset")
}

func valueRows(values []Value) (rows [][]string) {
	for _, v := range values {
		doc := plain(v.Doc)
		if v.Default {
			doc = strings.TrimSpace("has a default. " + doc)
		}
		rows = append(rows, []string{plain(v.Name), plain(v.Type), doc})
	}
	return rows
}

func pairRows(m map[string]string) (rows [][]string) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		rows = append(rows, []string{plain(key), plain(m[key])})
	}
	return rows
}

func (p *page) weightsFile(ref string, w *Weights) {
	size := ""
	if w.Bytes > 0 {
		size = ", " + sizeText(w.Bytes)
	}
	if w.Card == nil {
		p.line("%s: weights%s", ref, size)
	} else {
		p.line("%s: a shipped model", ref)
		p.card(w.Card)
	}
	p.weights(w)
}

func (p *page) card(c *zoo.Card) {
	p.line("%s", plain(c.About))
	p.table("", [][]string{
		{"made by", plain(c.Command)},
		{"trained", fmt.Sprintf("%s in batches of %d, %.3g hours on %s, until %s", count(c.Steps, "step"), c.Batch, c.Hours,
			plain(c.Machine), plain(c.Date))},
	})
}

func (p *page) weights(w *Weights) {
	rows := [][]string{
		{"tensors", grouped(int64(len(w.Tensors)))},
		{"parameters", grouped(w.Parameters)},
		{"sha256", w.SHA256},
	}
	switch {
	case w.Network != "":
		rows = append([][]string{{"network", w.Network}}, rows...)
	case w.NoNetwork != "":
		rows = append([][]string{{"network", plain(w.NoNetwork)}}, rows...)
	}
	if w.NonFinite > 0 {
		rows = append(rows, []string{"not finite", fmt.Sprintf("%s of the values", grouped(w.NonFinite))})
	}
	p.table("", rows)
	if w.Note != "" {
		p.line("\n%s", plain(w.Note))
	}
	rows = nil
	for _, line := range w.Beside {
		rows = append(rows, []string{plain(line)})
	}
	p.table("beside the tensors", rows)
	p.table("metadata", pairRows(w.Metadata))
	if len(w.Tensors) == 0 {
		return
	}
	rows = [][]string{{"name", "type", "min", "max", "mean", "not finite"}}
	for _, t := range w.Tensors {
		bad := ""
		if t.NonFinite > 0 {
			bad = grouped(t.NonFinite)
		}
		dims := strings.Trim(fmt.Sprint(t.Shape), "[]")
		rows = append(rows, []string{plain(t.Name), t.DType + "[" + dims + "]", numberText(t.Min), numberText(t.Max), numberText(t.Mean), bad})
	}
	p.table("tensors", rows)
}

func (p *page) run(ref string, r *Run) {
	p.line("%s: training run of %s", ref, r.Network)
	rows := [][]string{{"steps", fmt.Sprintf("%s of %s", grouped(int64(r.Step)), grouped(int64(r.Steps)))}}
	if len(r.Checkpoints) == 0 {
		rows[0][1] += ", no checkpoint yet"
	}
	if m := r.Metrics; m != nil {
		rows = append(rows, []string{"metrics", fmt.Sprintf("%s, the last of step %s at %s", count(m.Lines, "line"), grouped(m.Step),
			m.Time.Format("2006-01-02 15:04:05 MST"))})
	}
	p.table("", rows)
	if r.Metrics != nil {
		rows = nil
		for _, name := range slices.Sorted(maps.Keys(r.Metrics.Values)) {
			v := r.Metrics.Values[name]
			rows = append(rows, []string{plain(name), or(numberText(v), "not finite")})
		}
		p.table("last metrics", rows)
	}
	rows = nil
	for _, c := range r.Checkpoints {
		rows = append(rows, []string{plain(c.Dir), sizeText(c.Bytes)})
	}
	for _, dir := range r.Incomplete {
		rows = append(rows, []string{plain(dir), "not complete, and not used"})
	}
	p.table("checkpoints", rows)
	rows = nil
	for _, f := range r.Files {
		rows = append(rows, []string{plain(f.Path), sizeText(f.Bytes)})
	}
	p.table("files", rows)
	p.line("\nsettings")
	for line := range strings.Lines(r.toml) {
		if line = strings.TrimSpace(line); line != "" {
			p.line("  %s", plain(line))
		}
	}
}

func (p *page) checkpoint(ref string, c *Checkpoint) {
	in := "its weights are used as they are"
	if c.Averaged {
		in = "the averaged weights are the ones in use"
	}
	p.line("%s: checkpoint of step %s; %s", ref, grouped(int64(c.Step)), in)
	p.line("\n%s, %s", modelFile, sizeText(c.Model.Bytes))
	p.weights(c.Model)
	p.line("\n%s, %s: the optimiser's state", stateFile, sizeText(c.State.Bytes))
	p.state(c.State)
}

// state sums up the optimiser's tensors by what they are of each parameter.
func (p *page) state(w *Weights) {
	kinds := []struct{ suffix, name string }{
		{".m", "first moments"}, {".v", "second moments"}, {".ema", "averaged weights"}, {"", "others"},
	}
	tensors, bad := make([]int, len(kinds)), make([]int64, len(kinds))
	for _, t := range w.Tensors {
		for i, k := range kinds {
			if strings.HasSuffix(t.Name, k.suffix) {
				tensors[i]++
				bad[i] += t.NonFinite
				break
			}
		}
	}
	var rows [][]string
	for i, k := range kinds {
		if tensors[i] == 0 {
			continue
		}
		row := []string{k.name, count(tensors[i], "tensor")}
		if bad[i] > 0 {
			row = append(row, fmt.Sprintf("%s not finite", grouped(bad[i])))
		}
		rows = append(rows, row)
	}
	p.table("", append(rows, []string{"sha256", w.SHA256}))
}

// plain makes a text of a file safe and short enough to show on one line.
func plain(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	var b strings.Builder
	for i, r := range s {
		if i >= maxText {
			b.WriteString("…")
			break
		}
		if r != ' ' && !unicode.IsPrint(r) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
	}
	return b.String()
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// count says how many things there are, such as "1 node" or "1,024 values".
func count[T int | int64](n T, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return grouped(int64(n)) + " " + thing
}

// grouped writes a number with commas between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// sizeText writes a number of bytes with three digits.
func sizeText(n int64) string {
	if n < 1000 {
		return count(n, "byte")
	}
	v, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB"} {
		if v /= 1000; v < 999.5 {
			break
		}
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + " " + unit
}

func numberText(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', 5, 64)
}
