package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
)

// Split is the part of a data set that was asked for.
type Split int

const (
	Train Split = iota
	Test
)

// String returns "train" or "test".
func (s Split) String() string {
	switch s {
	case Train:
		return "train"
	case Test:
		return "test"
	}
	return fmt.Sprintf("Split(%d)", int(s))
}

// Set is a number of pictures of one size, and their labels where they have
// any.
type Set struct {
	Name  string // as in Spec.Name
	Split Split
	// Source says where the pictures came from: a folder, a file or a module.
	Source string
	// Notes are remarks for a person, one sentence each: what was left out, or
	// that the files are not the official ones. Often empty.
	Notes []string

	// Channels is 1 (grey) or 3 (red, green, blue; three digits for
	// stacked-mnist).
	Channels, Height, Width int
	// Pad is the number of rows and columns of zeros that were added on each
	// side of every picture and are part of Height and Width.
	Pad int
	// Pixels holds the pictures in row-major order, [N, Channels, Height, Width].
	Pixels []uint8
	// Labels holds a number for each picture, or is nil.
	Labels []uint16
	// Classes are the names of the labels 0, 1, …; nil where there are none.
	Classes []string
}

// Len returns the number of pictures.
func (s *Set) Len() int {
	if n := s.Channels * s.Height * s.Width; n > 0 {
		return len(s.Pixels) / n
	}
	return 0
}

// Native returns the size of the pictures without their padding.
func (s *Set) Native() (height, width int) {
	return s.Height - 2*s.Pad, s.Width - 2*s.Pad
}

// Picture returns the bytes of picture i, [Channels, Height, Width]. They are
// the set's own.
func (s *Set) Picture(i int) []uint8 {
	n := s.Channels * s.Height * s.Width
	return s.Pixels[i*n : (i+1)*n : (i+1)*n]
}

// Shape returns the shape of one picture, [Channels Height Width].
func (s *Set) Shape() []int { return []int{s.Channels, s.Height, s.Width} }

// Fill writes the pictures with the given numbers into dst, which has the
// shape [len(index), Channels, Height, Width], as values in [0, 1]: each byte
// divided by 255. It panics when dst has another length or a number is not in
// [0, Len()), which are errors of the program.
func (s *Set) Fill(dst []float32, index []int) {
	n := s.Channels * s.Height * s.Width
	if len(dst) != len(index)*n {
		panic(fmt.Sprintf("dataset: Fill of %d pictures of %d values into %d values", len(index), n, len(dst)))
	}
	for k, i := range index {
		out := dst[k*n : (k+1)*n]
		for j, p := range s.Picture(i) {
			out[j] = float32(p) / 255
		}
	}
}

// take fits square planes of side native to the size that spec asks for and
// makes them the set's pictures; see fit.
func (s *Set) take(planes []uint8, native int, spec Spec, sizes []int) error {
	pixels, side, border, err := fit(planes, native, spec.Size, sizes)
	if err != nil {
		return err
	}
	s.Pixels, s.Height, s.Width, s.Pad = pixels, side, side, border
	return nil
}

// note adds a remark, if it is one.
func (s *Set) note(remark string) {
	if remark != "" {
		s.Notes = append(s.Notes, remark)
	}
}

// Hash returns the SHA-256, in hexadecimal, of the set's shape, pixels and
// labels. A run keeps it to say what it was trained on.
func (s *Set) Hash() string {
	h := sha256.New()
	fmt.Fprintf(h, "uint8 %d %d %d %d labels %d\n", s.Len(), s.Channels, s.Height, s.Width, len(s.Labels))
	h.Write(s.Pixels)
	labels := make([]byte, 0, 2*len(s.Labels))
	for _, l := range s.Labels {
		labels = binary.LittleEndian.AppendUint16(labels, l)
	}
	h.Write(labels)
	return hex.EncodeToString(h.Sum(nil))
}

// Spec says which pictures to load. Only Name is always needed.
type Spec struct {
	// Name is one of Catalogue's.
	Name string
	// Dir is the folder, or for CIFAR-10 and SVHN also the file, that holds
	// the data. Empty takes what the set finds by itself, if it can.
	Dir   string
	Split Split
	// Size is the side of the pictures in pixels; 0 takes the set's default.
	Size int
	// Channels, for folders, asks for grey (1) or colour (3) pictures; 0 takes
	// grey when all pictures are grey. Elsewhere it must be 0 or what the set
	// has.
	Channels int
	// Seed and Count say which digits stacked-mnist stacks, and how many
	// stacks it makes; a Count of 0 is as many as there are digits.
	Seed  uint64
	Count int
	// Progress, when not nil, is told how many of a folder's pictures have
	// been read. It is called from one goroutine at a time.
	Progress func(done, total int)
	// Log, when not nil, gets single lines about what takes long, and the set's
	// notes.
	Log func(line string)
}

// Check reports the first field that cannot be, without looking for files.
func (s Spec) Check() error {
	i := slices.Index(Names(), s.Name)
	if i < 0 {
		_, _, err := ParseName(s.Name, Train)
		return err
	}
	has := Catalogue()[i].Channels
	switch {
	case s.Split != Train && s.Split != Test:
		return fmt.Errorf("data set %s: unknown split %v, want train or test", s.Name, s.Split)
	case s.Size < 0 || s.Size > maxSide:
		return fmt.Errorf("data set %s: size %d is not in 1…%d", s.Name, s.Size, maxSide)
	case has != 0 && s.Channels != 0 && s.Channels != has:
		return fmt.Errorf("data set %s: %d channels, want %d", s.Name, s.Channels, has)
	case s.Count != 0 && s.Name != "stacked-mnist":
		return fmt.Errorf("data set %s: a count (%d) is for stacked-mnist alone", s.Name, s.Count)
	}
	return nil
}

// Load reads a set. It returns an error that names the file, what was found
// and what was wanted when the data is missing, damaged or of another kind.
func Load(ctx context.Context, spec Spec) (*Set, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	i := slices.Index(Names(), spec.Name)
	set, err := Catalogue()[i].load(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("data set %s: %w", spec.Name, err)
	}
	set.Name, set.Split = spec.Name, spec.Split
	if spec.Log != nil {
		for _, note := range set.Notes {
			spec.Log(spec.Name + ": " + note)
		}
	}
	return set, nil
}
