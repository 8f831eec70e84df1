package samples

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ebm/internal/testkit"
	"ebm/runtime/parallel"
)

// part fills a folder with a part of 50 samples from index 4, which are 7 groups.
func part(t *testing.T, dir string, i, n, stop int) (Written, []int, error) {
	t.Helper()
	var ran []int
	f := Folder{Dir: dir, Float32: true, ShardTime: 1, Share: Share{Part: parallel.Part{Index: i, Count: n}}}
	w, err := f.Write(t.Context(), job(4, 50, 10, stop, &ran), nil)
	return w, ran, err
}

// join joins the parts in a folder.
func join(t *testing.T, dir string) error {
	t.Helper()
	var ran []int
	j := job(4, 50, 10, -1, &ran)
	j.Record.Engine, j.Run = "another", nil
	_, err := Folder{Dir: dir, Float32: true, Share: Share{Join: true}}.Write(t.Context(), j, nil)
	return err
}

// Parts of any number, some of them stopped, run twice, or run again in another number,
// join to what one process writes.
func TestPartsJoin(t *testing.T) {
	want := whole(t, 4, 50)
	for _, n := range []int{2, 3, 7, 20} {
		dir := filepath.Join(t.TempDir(), "shared")
		if _, _, err := part(t, dir, 1, n, 1); n < 7 && !errors.Is(err, os.ErrNotExist) && err == nil {
			t.Error("a part that was stopped has no error")
		}
		for i := n; i >= 1; i-- {
			for again := range 2 {
				w, ran, err := part(t, dir, i, n, -1)
				if !errors.Is(err, ErrPart) || again == 1 && (len(ran) > 0 || w.Made > 0) {
					t.Fatalf("part %d/%d, time %d: ran %v, %+v, error %v", i, n, again, ran, w, err)
				}
			}
		}
		if err := join(t, dir); err != nil {
			t.Fatal(err)
		}
		testkit.SameFiles(t, dir, want, allFiles...)
		if names := testkit.Names(t, dir); len(names) != len(allFiles) {
			t.Errorf("a joined folder holds %q, want %q", names, allFiles)
		}
		// A node that comes back after all is done.
		if w, ran, err := part(t, dir, 1, n, -1); err != nil || len(ran) > 0 || w.Count != 50 {
			t.Errorf("a part of a joined folder ran %v, %+v, error %v", ran, w, err)
		}
		if err := join(t, dir); err != nil {
			t.Errorf("joined again: %v", err)
		}
	}
}

// What is missing is named, and other numbers of parts go on with what is there.
func TestMissingParts(t *testing.T) {
	want := whole(t, 4, 50)
	dir := filepath.Join(t.TempDir(), "shared")
	for _, i := range []int{2, 4} {
		if _, _, err := part(t, dir, i, 4, -1); !errors.Is(err, ErrPart) {
			t.Fatal(err)
		}
	}
	err := join(t, dir)
	testkit.WantError(t, "two parts of four", err, dir, "lacks", "of 50 samples", "4…15")
	if !errors.As(err, new(*MissingError)) {
		t.Errorf("error %T, want a MissingError", err)
	}
	shards := shardFiles(t, dir)
	data := testkit.Read(t, shards[0])
	data[len(data)-1] ^= 1
	testkit.Write(t, shards[0], data)
	for i := 1; i <= 3; i++ {
		f := Folder{Dir: dir, Float32: true, Log: func(string) {}, Share: Share{Part: parallel.Part{Index: i, Count: 3}}}
		var ran []int
		if _, err := f.Write(t.Context(), job(4, 50, 10, -1, &ran), nil); !errors.Is(err, ErrPart) {
			t.Fatal(err)
		}
	}
	if err := join(t, dir); err != nil {
		t.Fatal(err)
	}
	testkit.SameFiles(t, dir, want, allFiles...)
}

// Parts of other settings or another number of samples are refused.
func TestPartsThatDoNotBelongTogether(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shared")
	if _, _, err := part(t, dir, 1, 2, -1); !errors.Is(err, ErrPart) {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Job){
		"seed 7, want 8":            func(j *Job) { j.Record.Seed = 8 },
		"model_sha256 abc":          func(j *Job) { j.Record.Model = "abd" },
		"count 50, want 60":         func(j *Job) { j.Record.Count = 60 },
		"engine test, want another": func(j *Job) { j.Record.Engine = "another" },
	} {
		var ran []int
		j := job(4, 50, 10, -1, &ran)
		change(&j)
		_, err := Folder{Dir: dir, Float32: true, Share: Share{Part: parallel.Part{Index: 2, Count: 2}}}.Write(t.Context(), j, nil)
		testkit.WantError(t, what, err, what)
		if !errors.As(err, new(*MismatchError)) {
			t.Errorf("error %T, want a MismatchError", err)
		}
	}
}

// Two processes that compute one part at the same time, with others, publish the same.
func TestPartsAtOnce(t *testing.T) {
	want := whole(t, 4, 50)
	dir := filepath.Join(t.TempDir(), "shared")
	errs := make(chan error)
	for k := range 6 {
		go func() {
			var ran []int
			f := Folder{Dir: dir, Float32: true, ShardTime: 1, Share: Share{Part: parallel.Part{Index: k/2 + 1, Count: 3}}}
			_, err := f.Write(t.Context(), job(4, 50, 10, -1, &ran), nil)
			if errors.Is(err, ErrPart) {
				err = nil
			} else {
				err = fmt.Errorf("part %d: %v, want that it is a part", k, err)
			}
			errs <- err
		}()
	}
	for range 6 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if err := join(t, dir); err != nil {
		t.Fatal(err)
	}
	testkit.SameFiles(t, dir, want, allFiles...)
}
