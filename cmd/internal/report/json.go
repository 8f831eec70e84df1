package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// formatVersion is that of the JSON file; a reader refuses others.
const formatVersion = 1

// kinds has a decoder for every kind of section.
func kinds() map[string]func([]byte) (Section, error) {
	return map[string]func([]byte) (Section, error){
		Text{}.kind():     decodeAs[Text],
		Facts{}.kind():    decodeAs[Facts],
		Chart{}.kind():    decodeAs[Chart],
		Gallery{}.kind():  decodeAs[Gallery],
		Table{}.kind():    decodeAs[Table],
		Checks{}.kind():   decodeAs[Checks],
		Timings{}.kind():  decodeAs[Timings],
		Commands{}.kind(): decodeAs[Commands],
		Metrics{}.kind():  decodeAs[Metrics],
	}
}

func decodeAs[T Section](b []byte) (Section, error) {
	var s T
	err := json.Unmarshal(b, &s)
	return s, err
}

// header is the JSON file without its sections.
type header struct {
	Version int        `json:"version"`
	Title   string     `json:"title"`
	Subject string     `json:"subject,omitempty"`
	Summary string     `json:"summary"`
	Created *time.Time `json:"created,omitempty"`
	Passed  *int       `json:"checks_passed,omitempty"`
	Total   *int       `json:"checks_total,omitempty"`
}

// WriteJSON writes the document as JSON, one section a line.
func (d *Document) WriteJSON(w io.Writer) error {
	if err := d.validate(); err != nil {
		return err
	}
	h := header{Version: formatVersion, Title: d.Title, Subject: d.Subject, Summary: d.Summary}
	if !d.Created.IsZero() {
		h.Created = &d.Created
	}
	if passed, total := d.verdict(); total > 0 {
		h.Passed, h.Total = &passed, &total
	}
	head, err := encode(h)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	var b bytes.Buffer
	b.Write(head[:len(head)-1])
	b.WriteString(`,"sections":[`)
	for i, s := range d.Sections {
		body, err := encode(s)
		if err != nil {
			return fmt.Errorf("report: section %d, %s %q: %w", i+1, s.kind(), title(s), err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n{\"kind\":%q,%s", s.kind(), body[1:])
	}
	b.WriteString("\n]}\n")
	_, err = w.Write(b.Bytes())
	return err
}

// encode leaves <, > and & as they are, for those who read the file.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// ReadJSON reads a document that WriteJSON wrote.
func ReadJSON(r io.Reader) (*Document, error) {
	var file struct {
		header
		Sections []json.RawMessage `json:"sections"`
	}
	if err := json.NewDecoder(r).Decode(&file); err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	if file.Version != formatVersion {
		return nil, fmt.Errorf("read report: format version %d, want %d", file.Version, formatVersion)
	}
	d := &Document{Title: file.Title, Subject: file.Subject, Summary: file.Summary}
	if file.Created != nil {
		d.Created = *file.Created
	}
	decoders := kinds()
	for i, raw := range file.Sections {
		var k struct {
			Kind string `json:"kind"`
		}
		if err := json.Unmarshal(raw, &k); err != nil {
			return nil, fmt.Errorf("read report: section %d: %w", i+1, err)
		}
		decode, ok := decoders[k.Kind]
		if !ok {
			return nil, fmt.Errorf("read report: section %d has the unknown kind %q", i+1, k.Kind)
		}
		s, err := decode(raw)
		if err != nil {
			return nil, fmt.Errorf("read report: section %d, %s: %w", i+1, k.Kind, err)
		}
		d.Sections = append(d.Sections, s)
	}
	if d.Subject == "" {
		d.Subject = d.oldSubject()
	}
	return d, d.validate()
}
