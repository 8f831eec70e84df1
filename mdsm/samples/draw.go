package samples

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"ebm/internal/atomicfile"
	"ebm/internal/picture"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// draw makes the pictures that are wanted of the archive whose first sample
// has the given index. Pictures of single samples that are there stay.
func (f Folder) draw(ctx context.Context, first int, show progress.Progress) error {
	if f.Grid > 0 {
		if err := f.drawGrid(); err != nil {
			return err
		}
	}
	if f.Animation {
		if err := f.drawAnimation(); err != nil {
			return err
		}
	}
	if f.PNG && !atomicfile.Exists(filepath.Join(f.Dir, PicturesDir)) {
		return f.drawPictures(ctx, first, show)
	}
	return nil
}

// layout is that of the grid and of the animation's frames: small pictures are
// enlarged.
func layout(x *tensor.Tensor) picture.Grid {
	side := max(x.Shape()[2], x.Shape()[3])
	return picture.Grid{Padding: 1, Scale: min(max(64/side, 1), 8), Background: 128}
}

func (f Folder) drawGrid() error {
	x, err := firstRows(filepath.Join(f.Dir, ArchiveFile), f.Grid)
	if err != nil {
		return err
	}
	if x, err = channelsFirst(x); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(f.Dir, GridFile), func(w io.Writer) error { return layout(x).WritePNG(w, x) })
}

// drawAnimation shows the snapshots, and the jump from the last one.
func (f Folder) drawAnimation() error {
	p, err := ReadProcess(f.Dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(p.Snapshots) == 0 {
		return fmt.Errorf("%s has no snapshots to draw an animation of", f.Dir)
	}
	if err != nil {
		return err
	}
	var frames []*tensor.Tensor
	for _, s := range p.Snapshots {
		frames = append(frames, s.X)
	}
	frames = append(frames, p.Snapshots[len(p.Snapshots)-1].Denoised)
	for i := range frames {
		if frames[i], err = f.crop(frames[i]); err != nil {
			return err
		}
	}
	a := picture.Animation{Grid: layout(frames[0]), Delay: 150 * time.Millisecond, Hold: 3 * time.Second}
	return atomicfile.Write(filepath.Join(f.Dir, AnimationFile), func(w io.Writer) error { return a.WriteGIF(w, frames) })
}

func (f Folder) drawPictures(ctx context.Context, first int, show progress.Progress) error {
	stage := progress.Begin(show, "png", 0, "pictures")
	defer stage.Done()
	return atomicfile.Dir(filepath.Join(f.Dir, PicturesDir), func(tmp string) error {
		return eachRows(ctx, filepath.Join(f.Dir, ArchiveFile), archiveArray, func(t *tensor.Tensor) error {
			x, err := channelsFirst(t)
			if err != nil {
				return err
			}
			if err := picture.WriteFolder(tmp, first, x); err != nil {
				return err
			}
			first += x.Shape()[0]
			stage.Add(int64(x.Shape()[0]))
			return nil
		})
	})
}

// channelsFirst returns uint8 pictures [N H W C] as [N C H W].
func channelsFirst(t *tensor.Tensor) (*tensor.Tensor, error) {
	if t.DType() != tensor.Uint8 || t.Rank() != 4 {
		return nil, fmt.Errorf("pictures are %v, want uint8[N H W C]", t)
	}
	n, pixels, channels := t.Shape()[0], t.Shape()[1]*t.Shape()[2], t.Shape()[3]
	out := tensor.New(tensor.Uint8, n, channels, t.Shape()[1], t.Shape()[2])
	from, to := tensor.Data[uint8](t), tensor.Data[uint8](out)
	for i := range n {
		at := i * pixels * channels
		for p := range pixels {
			for c := range channels {
				to[at+c*pixels+p] = from[at+p*channels+c]
			}
		}
	}
	return out, nil
}
