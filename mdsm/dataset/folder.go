package dataset

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"ebm/internal/picture"
)

// loadFolder reads any folder, archive or array of pictures. Its class folders, if all pictures
// are in such, give the labels.
func loadFolder(ctx context.Context, spec Spec) (*Set, error) {
	if spec.Channels != 0 && spec.Channels != 1 && spec.Channels != 3 {
		return nil, fmt.Errorf("%d channels, want 1 (grey) or 3 (colour)", spec.Channels)
	}
	if info, err := os.Stat(spec.Dir); err == nil && info.Mode().IsRegular() && IsArray(spec.Dir) {
		return loadArray(spec)
	}
	return loadSplit(ctx, spec, spec.Channels, func(width, height int) (frame, error) {
		if spec.Size == 0 {
			return frame{image.Rect(0, 0, width, height), height, width}, nil
		}
		square := min(width, height)
		return frame{middle(width, height, square, square), spec.Size, spec.Size}, nil
	})
}

// loadSplit reads the pictures of a split, which place frames.
func loadSplit(ctx context.Context, spec Spec, channels int, place func(width, height int) (frame, error)) (*Set, error) {
	root, files, note, err := listSplit(spec)
	if err != nil {
		return nil, err
	}
	set, err := readPictures(ctx, files, channels, place, spec.Progress)
	if err != nil {
		return nil, err
	}
	set.Source = root
	set.note(note)
	set.Labels, set.Classes = classes(root, files)
	return set, nil
}

// loadClassFolders reads a folder of colour pictures that are all of the given
// side already.
func loadClassFolders(ctx context.Context, spec Spec, side int) (*Set, error) {
	set, err := loadSplit(ctx, spec, 3, func(width, height int) (frame, error) {
		if width != side || height != side {
			return frame{}, fmt.Errorf("want %dx%d; the data set called folder takes other sizes", side, side)
		}
		return frame{image.Rect(0, 0, side, side), side, side}, nil
	})
	if err != nil {
		return nil, err
	}
	return set, set.take(set.Pixels, side, spec, colourSizes())
}

// listSplit finds the pictures of a split below spec.Dir in the order of their
// paths: those below its folder train or test where it has such, and otherwise
// all of them as the training set. A spec.Dir that is a file is the only
// picture. note says what was left out.
func listSplit(spec Spec) (root string, files []pictureFile, note string, err error) {
	if spec.Dir == "" {
		return "", nil, "", errors.New("name the folder or archive of pictures with --data")
	}
	if info, err := os.Stat(spec.Dir); err == nil && info.Mode().IsRegular() {
		if isArchive(spec.Dir) {
			return splitArchive(spec)
		}
		return filepath.Dir(spec.Dir), []pictureFile{{name: spec.Dir}}, "", nil
	}
	entries, err := os.ReadDir(spec.Dir)
	if err != nil {
		return "", nil, "", err
	}
	below := map[Split]string{}
	for _, e := range entries {
		switch name := strings.ToLower(e.Name()); name {
		case "train", "training":
			below[Train] = e.Name()
		case "test", "testing":
			below[Test] = e.Name()
		}
	}
	root = spec.Dir
	switch name, ok := below[spec.Split]; {
	case ok:
		root = filepath.Join(root, name)
	case len(below) > 0 || spec.Split == Test:
		return "", nil, "", fmt.Errorf("%s has no folder called %v", spec.Dir, spec.Split)
	}
	files, note, err = listPictures(root)
	return root, files, note, err
}

// splitArchive is listSplit for an archive, whose first folders may be called
// train and test.
func splitArchive(spec Spec) (root string, files []pictureFile, note string, err error) {
	all, note, err := listArchive(spec.Dir)
	if err != nil {
		return "", nil, "", err
	}
	below := map[string][]pictureFile{}
	for _, f := range all {
		first, _, _ := strings.Cut(filepath.ToSlash(strings.TrimPrefix(f.name, filepath.Clean(spec.Dir)+string(filepath.Separator))), "/")
		below[first] = append(below[first], f)
	}
	name := fmt.Sprint(spec.Split)
	switch {
	case len(below[name]) > 0:
		return filepath.Join(spec.Dir, name), below[name], note, nil
	case len(below["train"]) > 0 || len(below["test"]) > 0 || spec.Split == Test:
		return "", nil, "", fmt.Errorf("%s has no folder called %v", spec.Dir, spec.Split)
	}
	return spec.Dir, all, note, nil
}

// listPictures walks a folder, which may be a symbolic link; links to folders
// inside it are not followed. Hidden files are left out in silence.
func listPictures(root string) (files []pictureFile, note string, err error) {
	resolved, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, "", err
	}
	left, example := 0, ""
	err = filepath.WalkDir(resolved, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name != resolved && strings.HasPrefix(e.Name(), ".") {
			if e.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if e.IsDir() {
			return nil
		}
		file := e.Type().IsRegular() || e.Type() == fs.ModeSymlink
		switch {
		case file && isPicture(name):
			rel, err := filepath.Rel(resolved, name)
			if err != nil {
				return err
			}
			files = append(files, pictureFile{name: filepath.Join(root, rel)})
		default:
			left, example = left+1, name
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	if len(files) == 0 {
		return nil, "", fmt.Errorf("%s holds no pictures, want files ending in one of %s", root, strings.Join(picture.Extensions(), ", "))
	}
	if left > 0 {
		note = fmt.Sprintf("%s: %d files that are no pictures were left out, such as %s.", root, left, filepath.Base(example))
	}
	return files, note, nil
}

// classes derives labels from the folders right below root that the files are
// in: their place in the order of names, by number where all are numbers. It
// returns nil when some files are in none, or there are more classes than a
// label can count.
func classes(root string, files []pictureFile) (labels []uint16, names []string) {
	of := make([]string, len(files))
	seen := map[string]uint16{}
	for i, f := range files {
		rel, err := filepath.Rel(root, f.name)
		class, _, inside := strings.Cut(filepath.ToSlash(rel), "/")
		if err != nil || !inside {
			return nil, nil
		}
		of[i] = class
		if _, ok := seen[class]; !ok {
			seen[class] = 0
			names = append(names, class)
		}
	}
	if len(names) > 1<<16 {
		return nil, nil
	}
	slices.SortFunc(names, strings.Compare)
	numbers := map[string]int{}
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			numbers[name] = n
		}
	}
	if len(numbers) == len(names) {
		slices.SortStableFunc(names, func(a, b string) int { return numbers[a] - numbers[b] })
	}
	for i, name := range names {
		seen[name] = uint16(i)
	}
	labels = make([]uint16, len(files))
	for i, class := range of {
		labels[i] = seen[class]
	}
	return labels, names
}

// forEach calls work with 0…n−1 on as many goroutines as there are
// processors. It stops at the first error or when ctx ends, and returns the
// error of the least number that failed.
func forEach(ctx context.Context, n int, work func(i int) error) error {
	var (
		next    atomic.Int64
		stop    atomic.Bool
		mu      sync.Mutex
		failed  = n
		failure error
		workers sync.WaitGroup
	)
	for range min(n, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for !stop.Load() && ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := work(i); err != nil {
					stop.Store(true)
					mu.Lock()
					if i < failed {
						failed, failure = i, err
					}
					mu.Unlock()
					return
				}
			}
		})
	}
	workers.Wait()
	if failure != nil {
		return failure
	}
	return ctx.Err()
}
