package picture

import (
	"fmt"
	"image"
	"os"
	"path/filepath"

	"ebm/models/tensor"
)

// WriteFolder writes each picture of x, [N, C, H, W] with C of 1 or 3, as a
// PNG file of its own in dir, which must exist: picture i as the file named
// by the number first+i in at least six digits, such as 000041.png. The files
// are neither synced nor written in one step; a folder that must be whole is
// filled through atomicfile.Dir.
func WriteFolder(dir string, first int, x *tensor.Tensor) error {
	if first < 0 {
		return fmt.Errorf("pictures cannot be numbered from %d", first)
	}
	l, err := Grid{Columns: 1}.layout(x)
	if err != nil {
		return err
	}
	area := l.c * l.h * l.w
	one := *l
	one.n, one.rows = 1, 1
	for i := range l.n {
		one.pixels = l.pixels[i*area:][:area]
		path := filepath.Join(dir, fmt.Sprintf("%06d.png", first+i))
		if err := writeOne(path, one.draw()); err != nil {
			return err
		}
	}
	return nil
}

func writeOne(path string, img image.Image) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	return encodePNG(f, img)
}
