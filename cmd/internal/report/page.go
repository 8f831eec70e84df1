package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
)

//go:embed templates
var templates embed.FS

type pageView struct {
	Title, Summary string
	Created        string
	Passed, Total  int
	Style          template.CSS
	Sections       []sectionView
}

type sectionView struct {
	ID      string
	Kind    string
	Heading string
	Body    template.HTML
}

// renderPage writes d, which is valid, as an HTML file.
func renderPage(w io.Writer, d *Document) error {
	t, err := template.ParseFS(templates, "templates/*.tmpl")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	style, err := templates.ReadFile("templates/style.css")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	page := pageView{Title: d.Title, Summary: d.Summary, Style: template.CSS(style)}
	if !d.Created.IsZero() {
		page.Created = d.Created.UTC().Format("2 January 2006, 15:04 UTC")
	}
	page.Passed, page.Total = d.verdict()
	for i, s := range d.Sections {
		var b bytes.Buffer
		if err := t.ExecuteTemplate(&b, s.kind(), s.view()); err != nil {
			return fmt.Errorf("report: section %d, %s %q: %w", i+1, s.kind(), title(s), err)
		}
		page.Sections = append(page.Sections, sectionView{
			ID: fmt.Sprintf("section-%d", i+1), Kind: s.kind(), Heading: title(s),
			Body: template.HTML(b.String()), // made by the escaping template just above
		})
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "page", page); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = w.Write(b.Bytes())
	return err
}
