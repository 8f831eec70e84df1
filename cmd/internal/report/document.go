package report

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"ebm/internal/atomicfile"
)

// Names of the two files in the folder of a run.
const (
	HTMLFile = "report.html"
	JSONFile = "report.json"
)

// Document is the report of a run.
type Document struct {
	Title    string
	Subject  string    // what it is about, such as the SHA-256 of weights; "" where nothing says it
	Summary  string    // one paragraph: what was done and what came of it
	Created  time.Time // when the run ended; the zero time is left out
	Sections []Section
}

// Section is a part of a document with a heading: one of the types Text,
// Facts, Chart, Gallery, Metrics, Table, Checks, Timings and Commands.
type Section interface {
	// kind is the name of the section's template and of its kind in JSON.
	kind() string
	// head returns the section's identity, by which programs find it and which may
	// be empty, and its title, which may be empty too.
	head() (id, title string)
	// validate says what makes the section impossible to show.
	validate() error
	// view is what the template is given.
	view() any
}

// Write writes report.html and report.json in dir, each whole or not at all.
func (d *Document) Write(dir string) error {
	if err := atomicfile.Write(filepath.Join(dir, JSONFile), d.WriteJSON); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, HTMLFile), d.WriteHTML)
}

// WriteHTML writes the document as one HTML file.
func (d *Document) WriteHTML(w io.Writer) error {
	if err := d.validate(); err != nil {
		return err
	}
	return renderPage(w, d)
}

func (d *Document) validate() error {
	for i, s := range d.Sections {
		if s == nil {
			return fmt.Errorf("report: section %d is nil", i+1)
		}
		if err := s.validate(); err != nil {
			return fmt.Errorf("report: section %d, %s %q: %w", i+1, s.kind(), title(s), err)
		}
	}
	return nil
}

// verdict counts the checks of all sections.
func (d *Document) verdict() (passed, total int) {
	for _, s := range d.Sections {
		checks, ok := s.(Checks)
		if !ok {
			continue
		}
		for _, c := range checks.Items {
			total++
			if c.Passed() {
				passed++
			}
		}
	}
	return passed, total
}

// title returns a section's title.
func title(s Section) string {
	_, title := s.head()
	return title
}
