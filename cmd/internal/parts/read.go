package parts

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"ebm/internal/files"
	"ebm/mdsm/samples"
	"ebm/runtime/parallel"
)

// State says how far the parts of a job are together.
type State struct {
	Command string `json:"command"`
	// Parts is how many there are, 0 where none said so; each is finished, running, stopped,
	// or has not begun.
	Parts    int `json:"parts"`
	Finished int `json:"finished"`
	Running  int `json:"running"`
	Stopped  int `json:"stopped"`
	// Done of Total units are done. Of samples these are the samples in the folder,
	// whichever parts made them.
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Unit  string `json:"unit"`
	// Share is how much of the job is done, from 0 to 1: of samples, chains in progress too.
	Share float64 `json:"share"`
	// Of all parts that run; nil where none does, or does not say.
	Rate *float64  `json:"units_per_second"`
	Left *float64  `json:"seconds_left"`
	Last time.Time `json:"last"` // when a part said something
	Open []Open    `json:"open"` // parts that have begun and are not finished, in their order
}

// Open is a part that has begun and is not finished.
type Open struct {
	Part    string    `json:"part"`
	Host    string    `json:"host"`
	Done    int64     `json:"done"`
	Total   int64     `json:"total"`
	Running bool      `json:"running"`
	Problem string    `json:"problem,omitempty"` // why it ended, where it could say so
	Last    time.Time `json:"last"`
}

// said is a record with its part and its time.
type said struct {
	record
	part parallel.Part
	at   time.Time
}

// Read reads how far the parts of the job of a folder are, while they go on. The error
// wraps fs.ErrNotExist where there is no such folder.
func Read(dir string, now time.Time) (State, error) {
	j, err := ReadJob(dir)
	if err != nil {
		return State{}, err
	}
	all, err := readRecords(filepath.Join(dir, recordsDir))
	if err != nil {
		return State{}, err
	}
	s := together(all, now)
	s.Command = j.Command
	if p, err := samples.ReadProgress(dir); j.Command == SampleCommand && err == nil {
		s.count(p)
	}
	return s, nil
}

// readRecords reads the records of the parts of one cut of the job: where it was
// submitted again with another number of parts, of the newest.
func readRecords(dir string) ([]said, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []said
	var newest said
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" {
			continue
		}
		data, err := files.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // replaced meanwhile
		}
		info, err := e.Info()
		if err != nil {
			continue
		}
		one := said{at: info.ModTime()}
		if err := json.Unmarshal(data, &one.record); err != nil {
			continue // no record of a part
		}
		if one.part, err = parallel.ParsePart(one.Part); err != nil || recordName(one.part) != e.Name() {
			continue
		}
		for _, text := range []*string{&one.Host, &one.Unit, &one.Problem} { // terminals obey some
			*text = strings.Map(printable, *text)
		}
		all = append(all, one)
		if newest.at.Before(one.at) {
			newest = one
		}
	}
	all = slices.DeleteFunc(all, func(s said) bool { return s.part.Count != newest.part.Count })
	slices.SortFunc(all, func(a, b said) int { return cmp.Compare(a.part.Index, b.part.Index) })
	return all, nil
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}

// together adds up records of parts of one number.
func together(all []said, now time.Time) State {
	s := State{Open: []Open{}}
	rate, known := 0.0, 0 // parts that know how much they have
	for _, one := range all {
		s.Parts = one.part.Count
		if one.at.After(s.Last) {
			s.Last = one.at
		}
		if one.Total > 0 || one.Finished {
			s.Done, s.Total, s.Unit = s.Done+one.Done, s.Total+one.Total, cmp.Or(one.Unit, s.Unit)
			known++
		}
		if one.Finished {
			s.Finished++
			continue
		}
		running := one.Problem == "" && now.Sub(one.at) < lost
		if running {
			s.Running++
			rate += one.Rate
		} else {
			s.Stopped++
		}
		s.Open = append(s.Open, Open{Part: one.Part, Host: one.Host, Done: one.Done, Total: one.Total, Running: running, Problem: one.Problem,
			Last: one.at})
	}
	if known > 0 { // parts that have not said are like those that have
		s.Total = s.Total * int64(s.Parts) / int64(known)
	}
	s.estimate(rate)
	return s
}

// estimate enters what follows from the units and their rate.
func (s *State) estimate(rate float64) {
	if s.Total == 0 {
		return
	}
	s.Share = max(s.Share, min(float64(s.Done)/float64(s.Total), 1))
	if rate > 0 {
		left := (1 - s.Share) * float64(s.Total) / rate
		s.Rate, s.Left = &rate, &left
	}
}

// count takes samples for units: those of parts of another number, which are no part of
// what these parts do, count too.
func (s *State) count(p samples.Progress) {
	rate := 0.0
	if s.Rate != nil {
		rate = *s.Rate * float64(p.Record.Count) / float64(s.Total)
	}
	s.Done, s.Total, s.Unit = int64(p.Done), int64(p.Record.Count), "samples"
	if p.Last.After(s.Last) {
		s.Last = p.Last
	}
	s.estimate(rate)
}

// mostLines is how many parts Lines names.
const mostLines = 20

// Lines says which parts have stopped, and how many run and have not begun.
func (s State) Lines() (list []string) {
	for _, o := range s.Open {
		if !o.Running && len(list) < mostLines {
			list = append(list, o.String())
		}
	}
	if more := s.Stopped - len(list); more > 0 {
		list = append(list, fmt.Sprintf("%d more parts have stopped", more))
	}
	if s.Running > 0 {
		list = append(list, fmt.Sprintf("%d of %d parts are running", s.Running, s.Parts))
	}
	if n := s.Parts - s.Finished - len(s.Open); n > 0 {
		list = append(list, fmt.Sprintf("%d of %d parts have not begun", n, s.Parts))
	}
	return list
}

// String says where the part is, and what it does.
func (o Open) String() string {
	text := fmt.Sprintf("part %s on %s, ", o.Part, o.Host)
	if o.Total > 0 {
		text += fmt.Sprintf("%d %% done, ", 100*o.Done/o.Total)
	}
	switch {
	case o.Running:
		return text + "running"
	case o.Problem != "":
		return text + "ended: " + o.Problem
	}
	return text + "stopped: no word since " + o.Last.UTC().Format(time.DateTime+" UTC")
}
