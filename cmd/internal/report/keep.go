package report

import "slices"

// Keep adds the sections of an older report that d has none for, after its own:
// those of another identity, or, where the older has none, another title. An
// older report about another subject is not kept; of one that names none, the
// summary is kept too.
func (d *Document) Keep(old *Document) {
	if d.Subject != "" && old.Subject != "" && d.Subject != old.Subject {
		return
	}
	if old.Subject == "" && old.Summary != "" {
		d.Sections = append(d.Sections, Text{Title: old.Title, Paragraphs: []string{old.Summary}})
	}
	own := slices.Clone(d.Sections)
	for _, s := range old.Sections {
		if !slices.ContainsFunc(own, func(mine Section) bool { return replaces(mine, s) }) {
			d.Sections = append(d.Sections, s)
		}
	}
}

// replaces reports whether a section stands for an older one.
func replaces(mine, old Section) bool {
	id, title := mine.head()
	oldID, oldTitle := old.head()
	if oldID == "" { // as in every report of version 0.1
		return title == oldTitle
	}
	return id == oldID
}

// weightsFact is the fact by which reports of version 0.1, which had no field
// for it, say the SHA-256 of the weights that they are about.
const weightsFact = "weights"

// oldSubject returns the subject of a document that a program of version 0.1
// wrote, "" without one.
func (d *Document) oldSubject() string {
	for _, s := range d.Sections {
		facts, _ := s.(Facts)
		for _, f := range facts.Items {
			if text, ok := f.Value.(string); ok && f.Name == weightsFact {
				return text
			}
		}
	}
	return ""
}
