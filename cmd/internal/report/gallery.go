package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	_ "image/gif"  // decoders of the formats that browsers show
	_ "image/jpeg" // and galleries take
	_ "image/png"
)

// Gallery is a row of pictures, or a single one.
type Gallery struct {
	ID       string    `json:"id,omitempty"`
	Title    string    `json:"title"`
	Note     string    `json:"note,omitempty"`
	Pictures []Picture `json:"pictures"`
}

// Picture is a picture with its caption. It is drawn without smoothing, at
// its own size or Width wide, and never wider than the page.
type Picture struct {
	Caption string `json:"caption,omitempty"`
	Alt     string `json:"alt,omitempty"`   // what it shows, for those who cannot see it
	Width   int    `json:"width,omitempty"` // width on the page in CSS pixels; 0 for that of the picture
	File    string `json:"file,omitempty"`  // where the run's folder has it
	Data    []byte `json:"data"`            // a PNG, GIF or JPEG file
}

func (Gallery) kind() string               { return "gallery" }
func (g Gallery) head() (id, title string) { return g.ID, g.Title }

func (g Gallery) validate() error {
	for i, p := range g.Pictures {
		if _, _, err := image.DecodeConfig(bytes.NewReader(p.Data)); err != nil {
			return fmt.Errorf("picture %d (%q) is not a PNG, GIF or JPEG file: %w", i+1, p.Caption, err)
		}
		if p.Width < 0 || p.Width > 10_000 {
			return fmt.Errorf("picture %d (%q) has width %d, want 0 to 10000", i+1, p.Caption, p.Width)
		}
	}
	return nil
}

type galleryView struct {
	Gallery
	Shown []pictureView
}

type pictureView struct {
	Picture
	Shape  image.Point // width and height on the page
	Source template.URL
}

func (g Gallery) view() any {
	v := galleryView{Gallery: g}
	for _, p := range g.Pictures {
		config, format, _ := image.DecodeConfig(bytes.NewReader(p.Data)) // validate has seen it
		shown := pictureView{Picture: p, Shape: image.Pt(config.Width, config.Height)}
		if p.Width > 0 {
			shown.Shape = image.Pt(p.Width, (p.Width*config.Height+config.Width/2)/max(config.Width, 1))
		}
		// A known media type and base64: nothing in it can end the attribute.
		shown.Source = template.URL("data:image/" + format + ";base64," + base64.StdEncoding.EncodeToString(p.Data))
		v.Shown = append(v.Shown, shown)
	}
	return v
}
