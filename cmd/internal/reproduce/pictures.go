package reproduce

import (
	"bytes"
	"path/filepath"

	"ebm/cmd/internal/report"
	"ebm/internal/atomicfile"
	"ebm/internal/picture"
	"ebm/mdsm/samples"
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
func first(x *tensor.Tensor, n int) *tensor.Tensor { return x.Rows(0, min(n, x.Shape()[0])) }

// columnsOfProcess lays out chains from left to right: a row for each chain as
// it is, and below it the denoised one.
func columnsOfProcess(p *samples.Process, chains int) (*tensor.Tensor, int) {
	var rows []*tensor.Tensor
	for c := range min(chains, p.Chains) {
		for _, denoised := range []bool{false, true} {
			for _, snapshot := range p.Snapshots {
				x := snapshot.X
				if denoised {
					x = snapshot.Denoised
				}
				rows = append(rows, x.Rows(c, c+1))
			}
		}
	}
	return tensor.Concat(rows...), len(p.Snapshots)
}
