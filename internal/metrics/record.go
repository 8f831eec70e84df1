package metrics

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"ebm/internal/files"
)

// Record is what was measured at one step. Values has a number for each
// name; the names "step" and "time" are taken.
type Record struct {
	Step   int64
	Time   time.Time
	Values map[string]float64
}

// appendLine appends r as one line of JSON, with its values in the order of
// their names.
func (r Record) appendLine(b []byte) ([]byte, error) {
	b = append(b, `{"step":`...)
	b = strconv.AppendInt(b, r.Step, 10)
	b = append(b, `,"time":`...)
	b = strconv.AppendFloat(b, float64(r.Time.UnixMilli())/1000, 'f', -1, 64)
	names := make([]string, 0, len(r.Values))
	for name := range r.Values {
		if name == "" || name == "step" || name == "time" || !utf8.ValidString(name) {
			return nil, fmt.Errorf("a metric cannot be called %q", name)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		key, err := json.Marshal(name)
		if err != nil {
			return nil, fmt.Errorf("metric %q: %w", name, err)
		}
		b = append(append(append(b, ','), key...), ':')
		if v := r.Values[name]; math.IsNaN(v) || math.IsInf(v, 0) {
			b = append(b, "null"...)
		} else {
			b = strconv.AppendFloat(b, v, 'g', -1, 64)
		}
	}
	return append(b, '}', '\n'), nil
}

// maxMillis keeps times within the years that time.Time can count in
// milliseconds and float64 can hold exactly.
const maxMillis = 1 << 53

func parseLine(line []byte) (Record, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return Record{}, err
	}
	var r Record
	raw, ok := fields["step"]
	if !ok {
		return Record{}, errors.New(`no "step"`)
	}
	step, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || step < 0 {
		return Record{}, fmt.Errorf("step %s is not a whole number from 0 up", raw)
	}
	r.Step = step
	r.Values = make(map[string]float64, max(len(fields)-2, 0))
	for name, raw := range fields {
		if name == "step" {
			continue
		}
		v := math.NaN()
		if string(raw) != "null" {
			if v, err = strconv.ParseFloat(string(raw), 64); err != nil {
				return Record{}, fmt.Errorf("%q is %s, want a number or null", name, raw)
			}
		}
		if name != "time" {
			r.Values[name] = v
			continue
		}
		millis := math.Round(v * 1000)
		if !(math.Abs(millis) <= maxMillis) {
			return Record{}, fmt.Errorf("time %s is out of range", raw)
		}
		r.Time = time.UnixMilli(int64(millis)).UTC()
	}
	if _, ok := fields["time"]; !ok {
		return Record{}, errors.New(`no "time"`)
	}
	return r, nil
}

// Read returns the records of JSON lines as this package writes them. A last
// line without its line end, which a run that was killed can leave, is
// passed over; any other line that is not a record is an error that gives
// its number.
func Read(r io.Reader) ([]Record, error) {
	var records []Record
	br := bufio.NewReader(r)
	for number := 1; ; number++ {
		line, err := br.ReadBytes('\n')
		if err == io.EOF {
			return records, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read metrics at line %d: %w", number, err)
		}
		record, err := parseLine(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			return nil, fmt.Errorf("metrics, line %d: %w", number, err)
		}
		records = append(records, record)
	}
}

// ReadFile returns the records of the file at path, as Read does.
func ReadFile(path string) ([]Record, error) { return files.Read(path, Read) }
