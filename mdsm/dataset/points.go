package dataset

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"ebm/internal/npz"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// PointSets returns the names of the sets of points in the plane that DrawPoints
// knows: rings are two circles of radius 1 and 2, moons two half circles that reach
// into each other, spirals two arms of one and a half turns, all with noise, and checkerboard the
// eight dark fields of sixteen, from −2 to 2.
func PointSets() []string { return []string{"rings", "moons", "spirals", "checkerboard"} }

// DrawPoints returns n points [n 2] of a set; a point depends on its number and the
// seed alone.
func DrawPoints(name string, n int, seed uint64) (*tensor.Tensor, error) {
	at := map[string]func(u [3]float64) (x, y, noise float64){
		"rings": func(u [3]float64) (x, y, noise float64) {
			r := 1 + math.Floor(2*u[0])
			return r * math.Cos(2*math.Pi*u[1]), r * math.Sin(2*math.Pi*u[1]), 0.08
		},
		"moons": func(u [3]float64) (x, y, noise float64) {
			x, y = math.Cos(math.Pi*u[1]), math.Sin(math.Pi*u[1])
			if u[0] < 0.5 {
				x, y = 1-x, 0.5-y
			}
			return x - 0.5, y - 0.25, 0.08
		},
		"spirals": func(u [3]float64) (x, y, noise float64) {
			turn := 3 * math.Pi * math.Sqrt(u[1])
			r := turn / (3 * math.Pi) * 2
			if u[0] < 0.5 {
				r = -r
			}
			return r * math.Cos(turn), r * math.Sin(turn), 0.06
		},
		"checkerboard": func(u [3]float64) (x, y, noise float64) {
			field := math.Floor(8 * u[0])
			row := math.Floor(field / 2)
			column := 2*math.Mod(field, 2) + math.Mod(row, 2)
			return column + u[1] - 2, row + u[2] - 2, 0
		},
	}[name]
	if at == nil || n < 1 {
		return nil, fmt.Errorf("%d points of the set %q, want one or more of one of %v", n, name, PointSets())
	}
	points := tensor.New(tensor.Float32, n, 2)
	values, source := tensor.Data[float32](points), rng.New(seed)
	normal := make([]float32, 2)
	for i := range n {
		var u [3]float64
		for k := range u {
			u[k] = float64(source.Uint64(rng.Density, uint64(i), uint32(k+1))>>11) / (1 << 53)
		}
		source.Normal(normal, rng.Density, uint64(i), 0)
		x, y, noise := at(u)
		values[2*i], values[2*i+1] = float32(x+noise*float64(normal[0])), float32(y+noise*float64(normal[1]))
	}
	return points, nil
}

// ReadPoints reads points [N D] as float32: an .npy, an .npz (x, arr_0 or the only
// array), or a table (.csv, .tsv). Numbers that are not finite are errors.
func ReadPoints(path string) (*tensor.Tensor, error) {
	x, err := readPoints(path)
	if err != nil {
		return nil, err
	}
	if x.Rank() != 2 || x.Len() == 0 {
		return nil, fmt.Errorf("%s holds %v, want points [N D]", path, x)
	}
	x = x.AsFloat32()
	for i, v := range tensor.Data[float32](x) {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("%s: point %d has the value %g, want finite numbers", path, i/x.Shape()[1], v)
		}
	}
	return x, nil
}

func readPoints(path string) (*tensor.Tensor, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".npy":
		return npz.ReadNpyFile(path)
	case ".npz":
		all, err := npz.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for _, name := range []string{"x", "arr_0"} {
			if t := all[name]; t != nil {
				return t, nil
			}
		}
		for _, t := range all {
			if len(all) == 1 {
				return t, nil
			}
		}
		return nil, fmt.Errorf("%s has %d arrays, want one called x or arr_0", path, len(all))
	case ".csv", ".tsv":
		t, err := ReadTable(path)
		return t.Rows, err
	}
	return nil, fmt.Errorf("%s, want points in an .npy, .npz or .csv file", path)
}

// IsPoints reports whether a path is that of a file of points: text, or an array that holds no pictures.
func IsPoints(path string) bool {
	if !IsArray(path) {
		return slices.Contains([]string{".csv", ".tsv"}, strings.ToLower(filepath.Ext(path)))
	}
	a, err := OpenArray(path)
	if err != nil {
		return !slices.Contains([]string{".pt", ".pth"}, strings.ToLower(filepath.Ext(path)))
	}
	defer a.Close()
	return len(a.Shape) < 3
}

// Standardise takes the mean of each column away from points [N D], in place, and
// divides them by its deviation, and returns both. A column of one value alone is
// divided by 1.
func Standardise(x *tensor.Tensor) (mean, deviation []float64) {
	n, d := x.Shape()[0], x.Shape()[1]
	mean, deviation = make([]float64, d), make([]float64, d)
	values := tensor.Data[float32](x)
	for i, v := range values {
		mean[i%d] += float64(v) / float64(n)
	}
	for i, v := range values {
		deviation[i%d] += (float64(v) - mean[i%d]) * (float64(v) - mean[i%d]) / float64(n)
	}
	for i := range deviation {
		if deviation[i] = math.Sqrt(deviation[i]); !(deviation[i] > 0) {
			deviation[i] = 1
		}
	}
	ToStandard(x, mean, deviation)
	return mean, deviation
}

// ToStandard takes means away from the columns of points [N D], in place, and
// divides them by deviations.
func ToStandard(x *tensor.Tensor, mean, deviation []float64) {
	d := x.Shape()[1]
	for i, v := range tensor.Data[float32](x) {
		tensor.Data[float32](x)[i] = float32((float64(v) - mean[i%d]) / deviation[i%d])
	}
}
