package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"ebm/internal/npz"
	"ebm/mdsm/langevin"
	"ebm/mdsm/restore"
)

// The tasks of restore.
const (
	superres   = "superres"
	deblur     = "deblur"
	compressed = "compressed"
	inpainting = "inpaint"
	missing    = "missing"
	colour     = "colour"
	byMatrix   = "matrix"
)

func tasks() []string {
	return []string{inpainting, missing, superres, deblur, compressed, colour, byMatrix}
}

// taskFlags say what was measured.
type taskFlags struct {
	task, mask, filter, blur, matrix string
	factor                           int
	keep                             float64
	maskSeed                         uint64
}

func (f *taskFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.task, "task", "", "what is known: "+strings.Join(tasks(), ", "))
	fs.StringVar(&f.mask, "mask", "centre", "inpaint: what is hidden: left, right, top, bottom, centre, or a PNG file whose pixels that "+
		"are not black are hidden")
	fs.Float64Var(&f.keep, "keep", 0.25, "missing: the share of pixels that are known; compressed: the number of projections over that of "+
		"values")
	fs.Uint64Var(&f.maskSeed, "operator-seed", 0, "missing, compressed: seed of the choice of pixels or projections")
	fs.IntVar(&f.factor, "factor", 2, "superres: how many times smaller the known pictures are")
	fs.StringVar(&f.filter, "filter", string(restore.Box),
		"superres: how they were made smaller: "+strings.Join(texts(restore.Filters()), " or ")+" (as Pillow's)")
	fs.StringVar(&f.blur, "blur", "gaussian:1", "deblur: gaussian:PIXELS (its standard deviation), motion:PIXELS:DEGREES, or .npy of "+
		"floats [K L], a kernel of odd sides")
	fs.StringVar(&f.matrix, "matrix", "", "matrix: .npy of floats [M C·H·W], A for the model's pictures with their padding")
}

// check finds wrong usage.
func (f *taskFlags) check() error {
	if err := someOf("--filter", []string{f.filter}, texts(restore.Filters())); err != nil {
		return err
	}
	switch {
	case !slices.Contains(tasks(), f.task):
		return usagef("--task %q, want one of %s", f.task, strings.Join(tasks(), ", "))
	case f.task == byMatrix && f.matrix == "":
		return usagef("--task matrix, want --matrix FILE.npy")
	case !(f.keep > 0 && f.keep <= 1):
		return usagef("--keep %g, want a share above 0 and up to 1", f.keep)
	case f.factor < 2:
		return usagef("--factor %d, want a number from 2", f.factor)
	}
	if _, err := f.kernel(); err != nil {
		return usagef("--blur %s: %w", f.blur, err)
	}
	return nil
}

// operator returns A for pictures of a frame.
func (f *taskFlags) operator(of restore.Frame) (*restore.Operator, error) {
	switch f.task {
	case inpainting:
		hidden, err := langevin.ReadMask(f.mask, of.Shape, of.Pad)
		if err != nil {
			return nil, err
		}
		return of.Inpaint(hidden)
	case missing:
		return of.Missing(f.keep, f.maskSeed)
	case superres:
		return of.Smaller(f.factor, restore.Filter(f.filter))
	case compressed:
		return of.Compressed(f.keep, f.maskSeed)
	case colour:
		return of.Grey()
	case deblur:
		k, err := f.kernel()
		if err != nil {
			return nil, err
		}
		return of.Blur(k)
	}
	m, err := npz.ReadNpyFile(f.matrix)
	if err != nil {
		return nil, err
	}
	return restore.FromMatrix(f.matrix, m, of.Shape)
}

// kernel returns that of --blur.
func (f *taskFlags) kernel() ([][]float64, error) {
	name, rest, _ := strings.Cut(f.blur, ":")
	var numbers []float64
	for _, s := range strings.Split(rest, ":") {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			break
		}
		numbers = append(numbers, v)
	}
	switch {
	case name == "gaussian" && len(numbers) == 1:
		return restore.Gaussian(numbers[0])
	case name == "motion" && len(numbers) == 2:
		return restore.Motion(numbers[0], numbers[1])
	case !strings.HasSuffix(f.blur, ".npy"):
		return nil, errors.New("no kernel, want gaussian:PIXELS, motion:PIXELS:DEGREES or FILE.npy")
	}
	k, err := npz.ReadNpyFile(f.blur)
	if err != nil {
		return nil, err
	}
	return restore.Kernel(f.blur, k)
}
