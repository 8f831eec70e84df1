package samples

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"ebm/models/tensor"
	"ebm/runtime/parallel"
)

// Share says what a process does of a job that several compute into one folder. Each
// computes its part and leaves the results of its groups there, under names and with
// bytes that follow from the job alone, so that a part may run twice, also at once.
// One then joins the results. The zero Share computes everything and joins it.
type Share struct {
	Part parallel.Part
	Join bool // compute nothing: what is missing is a *MissingError
}

// ErrPart says that a part of a job is finished: its results are in the folder, and
// those of other parts are to be joined with them.
var ErrPart = errors.New("a part is finished, the others are to be joined with it")

// MissingError says which results a folder lacks that is to be joined.
type MissingError struct {
	Dir    string
	What   string   // such as "samples"
	Ranges [][2]int // of indices, from the first to before the second
	Count  int      // of all
}

// Error lists the first of them.
func (e *MissingError) Error() string {
	const most = 8
	var list []string
	n := 0
	for i, r := range e.Ranges {
		n += r[1] - r[0]
		if i < most {
			list = append(list, fmt.Sprintf("%d…%d", r[0], r[1]-1))
		} else if i == most {
			list = append(list, "and more")
		}
	}
	return fmt.Sprintf("%s lacks %d of %d %s (%s): run the parts that have them again, those that are done cost nothing", e.Dir, n, e.Count,
		e.What, strings.Join(list, ", "))
}

// ranges appends a range to others, and joins it with the last where it goes on.
func ranges(list [][2]int, first, end int) [][2]int {
	if n := len(list); n > 0 && list[n-1][1] == first {
		list[n-1][1] = end
		return list
	}
	return append(list, [2]int{first, end})
}

// Missing returns the error of groups whose results are missing, of a job of count
// indices in groups of one size, and nil where there are none.
func Missing(dir, what string, groups []int, size, count int) error {
	if len(groups) == 0 {
		return nil
	}
	e := &MissingError{Dir: dir, What: what, Count: count}
	for _, g := range slices.Sorted(slices.Values(groups)) {
		e.Ranges = ranges(e.Ranges, g*size, min((g+1)*size, count))
	}
	return e
}

// Results keeps what the groups of a job come to, a file for each, so that work that
// was stopped goes on and that several processes can share it.
type Results struct {
	Dir string // "" keeps nothing
	Share
	// Log, when not nil, gets a line when something kept there is of no use.
	Log func(line string)
}

// Rows returns the rows [n …], float32, of the group whose first index is first: kept
// ones, or those that compute makes, which are kept. To be joined, rows that are not
// there are nil. found says that they were kept.
func (r Results) Rows(first int, shape []int, compute func() (*tensor.Tensor, error)) (x *tensor.Tensor, found bool, err error) {
	kept := State{Log: r.Log}
	if r.Dir != "" {
		kept.Path = filepath.Join(r.Dir, fmt.Sprintf("chains-%012d.npz", first))
	}
	arrays, err := kept.Read()
	if err != nil {
		return nil, false, err
	}
	if x := arrays["x"]; x != nil && x.DType() == tensor.Float32 && slices.Equal(x.Shape(), shape) {
		return x, true, nil
	} else if arrays != nil {
		kept.Reject(kept.Path + " does not hold these chains")
	}
	if r.Join {
		return nil, false, nil
	}
	if x, err = compute(); err != nil {
		return nil, false, err
	}
	return x, false, kept.Write(map[string]*tensor.Tensor{"x": x})
}
