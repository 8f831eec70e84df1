package reproduce

import (
	"bytes"
	"path/filepath"

	"ebm/internal/atomicfile"
	"ebm/internal/picture"
	"ebm/internal/report"
	"ebm/mdsm/langevin"
	"ebm/models/tensor"
)

// grey is the level of padding between pictures.
const grey = 96

// picture draws pictures [n C H W] as a grid into the item's folder.
func (s *study) picture(file, caption string, columns, apart int, x *tensor.Tensor) (report.Picture, error) {
	side := max(x.Shape()[2], 1)
	var b bytes.Buffer
	grid := picture.Grid{Columns: columns, Padding: 1, Scale: min(max(48/side, 1), 4), Background: grey, Apart: apart}
	if err := grid.WritePNG(&b, x); err != nil {
		return report.Picture{}, err
	}
	if err := atomicfile.WriteFile(filepath.Join(s.dir, file), b.Bytes()); err != nil {
		return report.Picture{}, err
	}
	return report.Picture{Caption: caption, Alt: caption, File: file, Data: b.Bytes()}, nil
}

// first returns the first n rows of a tensor, all if it has no more.
func first(x *tensor.Tensor, n int) *tensor.Tensor { return part(x, 0, n) }

// part returns n rows of a float32 or uint8 tensor, from the given one on.
func part(x *tensor.Tensor, at, n int) *tensor.Tensor {
	shape := x.Shape()
	each := tensor.Volume(shape[1:])
	n = max(min(n, shape[0]-at), 0)
	to := append([]int{n}, shape[1:]...)
	if x.DType() == tensor.Uint8 {
		return tensor.Of(tensor.Data[uint8](x)[at*each:(at+n)*each], to...)
	}
	return tensor.Of(tensor.Data[float32](x)[at*each:(at+n)*each], to...)
}

// joined returns the rows of float32 tensors, one after the other.
func joined(parts ...*tensor.Tensor) *tensor.Tensor {
	var all []float32
	n := 0
	for _, x := range parts {
		all = append(all, tensor.Data[float32](x)...)
		n += x.Shape()[0]
	}
	return tensor.Of(all, append([]int{n}, parts[0].Shape()[1:]...)...)
}

// columnsOfProcess lays out chains from left to right: a row for each chain as
// it is, and below it the denoised one.
func columnsOfProcess(p *langevin.Process, chains int) (*tensor.Tensor, int) {
	var rows []*tensor.Tensor
	for c := range min(chains, p.Chains) {
		for _, denoised := range []bool{false, true} {
			for _, snapshot := range p.Snapshots {
				x := snapshot.X
				if denoised {
					x = snapshot.Denoised
				}
				rows = append(rows, part(x, c, 1))
			}
		}
	}
	return joined(rows...), len(p.Snapshots)
}
