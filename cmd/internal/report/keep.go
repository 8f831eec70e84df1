package report

import "slices"

// Keep adds the sections of an older report that d has none of the same title
// for, after its own, and its summary as text. A fact of the given name that
// both reports have with different values says that they are of different
// things: then nothing is kept.
func (d *Document) Keep(old *Document, identity string) {
	was, ok := old.fact(identity)
	if now, both := d.fact(identity); ok && both && was != now {
		return
	}
	own := make([]string, 0, len(d.Sections))
	for _, s := range d.Sections {
		own = append(own, s.heading())
	}
	if !ok && old.Summary != "" {
		d.Sections = append(d.Sections, Text{Title: old.Title, Paragraphs: []string{old.Summary}})
	}
	for _, s := range old.Sections {
		if !slices.Contains(own, s.heading()) {
			d.Sections = append(d.Sections, s)
		}
	}
}

// fact returns the value of the first fact of a name.
func (d *Document) fact(name string) (value any, ok bool) {
	for _, s := range d.Sections {
		facts, isFacts := s.(Facts)
		if !isFacts {
			continue
		}
		for _, f := range facts.Items {
			if f.Name == name {
				v, err := plain(f.Value)
				return v, err == nil
			}
		}
	}
	return nil, false
}
