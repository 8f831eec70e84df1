package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// number is a float64 that JSON can hold: null when it is not finite.
type number float64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	if v := float64(n); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return json.Marshal(v)
	}
	return []byte("null"), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = number(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
}

// Numbers are values of which any may be not finite, which JSON has as null and
// charts leave out.
type Numbers []float64

// MarshalJSON implements json.Marshaler.
func (n Numbers) MarshalJSON() ([]byte, error) {
	out := make([]number, len(n))
	for i, v := range n {
		out[i] = number(v)
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Numbers) UnmarshalJSON(b []byte) error {
	var in []number
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*n = make(Numbers, len(in))
	for i, v := range in {
		(*n)[i] = float64(v)
	}
	return nil
}

// jsonValue is a value of plain, with whole numbers told from others by how
// they are written.
type jsonValue struct{ v any }

// MarshalJSON implements json.Marshaler.
func (j jsonValue) MarshalJSON() ([]byte, error) {
	p, err := plain(j.v)
	if err != nil {
		return nil, err
	}
	f, ok := p.(float64)
	if !ok {
		return encode(p)
	}
	b, err := number(f).MarshalJSON()
	if err == nil && !bytes.ContainsAny(b, ".en") {
		b = append(b, ".0"...)
	}
	return b, err
}

// UnmarshalJSON implements json.Unmarshaler.
func (j *jsonValue) UnmarshalJSON(b []byte) error {
	if i, err := strconv.ParseInt(string(b), 10, 64); err == nil {
		j.v = i
		return nil
	}
	if err := json.Unmarshal(b, &j.v); err != nil {
		return err
	}
	_, err := plain(j.v)
	return err
}

// MarshalJSON implements json.Marshaler.
func (f Fact) MarshalJSON() ([]byte, error) {
	type plain Fact
	p := plain(f)
	p.Value = jsonValue{f.Value}
	return encode(p)
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *Fact) UnmarshalJSON(b []byte) error {
	type plain Fact
	var value jsonValue
	f.Value = &value
	if err := json.Unmarshal(b, (*plain)(f)); err != nil {
		return err
	}
	f.Value = value.v
	return nil
}

// MarshalJSON implements json.Marshaler.
func (t Table) MarshalJSON() ([]byte, error) {
	type plain Table
	rows := make([][]jsonValue, len(t.Rows))
	for i, row := range t.Rows {
		rows[i] = make([]jsonValue, len(row))
		for j, cell := range row {
			rows[i][j] = jsonValue{cell}
		}
	}
	return encode(struct {
		plain
		Rows [][]jsonValue `json:"rows"`
	}{plain(t), rows})
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Table) UnmarshalJSON(b []byte) error {
	type plain Table
	j := struct {
		*plain
		Rows [][]jsonValue `json:"rows"`
	}{plain: (*plain)(t)}
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	t.Rows = nil
	for _, row := range j.Rows {
		cells := make([]any, len(row))
		for i, cell := range row {
			cells[i] = cell.v
		}
		t.Rows = append(t.Rows, cells)
	}
	return nil
}

type checkJSON struct {
	Name     string `json:"name"`
	Passed   bool   `json:"passed"`
	Measured number `json:"measured"`
	Relation string `json:"relation"`
	Limit    number `json:"limit"`
	Unit     string `json:"unit,omitempty"`
	How      string `json:"how,omitempty"`
}

const (
	atMost  = "at most"
	atLeast = "at least"
)

// MarshalJSON implements json.Marshaler.
func (c Check) MarshalJSON() ([]byte, error) {
	relation := atMost
	if c.AtLeast {
		relation = atLeast
	}
	return encode(checkJSON{c.Name, c.Passed(), number(c.Measured), relation, number(c.Limit), c.Unit, c.How})
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Check) UnmarshalJSON(b []byte) error {
	var j checkJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	if j.Relation != atMost && j.Relation != atLeast {
		return fmt.Errorf("check %q has the relation %q, want %q or %q", j.Name, j.Relation, atMost, atLeast)
	}
	*c = Check{j.Name, float64(j.Measured), float64(j.Limit), j.Relation == atLeast, j.Unit, j.How}
	return nil
}

type timingJSON struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Note    string  `json:"note,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (t Timing) MarshalJSON() ([]byte, error) {
	return encode(timingJSON{t.Name, t.Took.Seconds(), t.Note})
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Timing) UnmarshalJSON(b []byte) error {
	var j timingJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	nanoseconds := math.Round(j.Seconds * float64(time.Second))
	if !(nanoseconds >= 0 && nanoseconds < math.MaxInt64) {
		return fmt.Errorf("timing %q has %v seconds", j.Name, j.Seconds)
	}
	*t = Timing{j.Name, time.Duration(nanoseconds), j.Note}
	return nil
}
