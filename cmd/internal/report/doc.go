// Package report writes what a run did and how well as one HTML file for
// people and one JSON file for programs, with the same content.
//
// A Document is a title, a summary and a list of sections (facts, charts,
// pictures, metrics, tables, checks, timings, commands, text) that the caller fills;
// the package measures nothing. A new kind of section is a type with the
// methods of Section, a template named after its kind, and its entry in the
// table of kinds.
//
// The HTML file needs nothing but itself: pictures are embedded, charts are
// inline SVG, there are no scripts, and its own security policy forbids
// loading anything. It adapts to phones, dark mode and paper.
//
// The JSON file holds every number in full, and ReadJSON makes the Document
// from it again. Numbers that are not finite are null there and read back as
// NaN (an empty cell in a table); charts leave a gap at them.
package report
