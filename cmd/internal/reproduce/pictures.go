package reproduce

import (
	"path/filepath"

	"ebm/cmd/internal/assess"
	"ebm/cmd/internal/report"
	"ebm/internal/atomicfile"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
)

// picture draws pictures [n C H W] as a grid into the item's folder.
func (s *study) picture(file, caption string, columns, apart int, x *tensor.Tensor) (report.Picture, error) {
	p, err := assess.Grid(caption, caption, columns, min(max(48/max(x.Shape()[2], 1), 1), 4), apart, x)
	if err != nil {
		return p, err
	}
	p.File = file
	return p, atomicfile.WriteFile(filepath.Join(s.dir, file), p.Data)
}

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
