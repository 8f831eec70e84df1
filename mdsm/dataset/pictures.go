package dataset

import (
	"context"
	"fmt"
	"image"
	"io"
	"sync"

	"golang.org/x/image/draw"

	"ebm/internal/picture"
)

// frame says what becomes of a picture: the part of it that is taken, counted
// from its upper left corner, and the size to which that is brought.
type frame struct {
	cut           image.Rectangle
	height, width int
}

// framer gives the frame of a picture of the given size, or an error that says
// which size was wanted.
type framer func(width, height int) (frame, error)

// middle is the rectangle of the given size in the middle of a picture, one
// row or column nearer to the top and left where it cannot be exact.
func middle(pictureWidth, pictureHeight, width, height int) image.Rectangle {
	x, y := (pictureWidth-width)/2, (pictureHeight-height)/2
	return image.Rect(x, y, x+width, y+height)
}

// header is what the first bytes of a picture file say.
type header struct {
	width, height int
	grey          bool
}

// readPictures reads picture files of which each gives one picture of the same
// size: channels (0, 1 or 3) as in Spec.Channels. It returns the set without
// names, labels and source. The files are read twice, first their headers
// alone, so that mixed sizes are found before the long work; decoding is done
// by several goroutines, and only the finished pictures are kept.
func readPictures(ctx context.Context, files []pictureFile, channels int, fit framer, progress func(done, total int)) (*Set, error) {
	headers := make([]header, len(files))
	if err := forEach(ctx, len(files), func(i int) (err error) {
		headers[i], err = readHeader(files[i])
		return err
	}); err != nil {
		return nil, err
	}
	frames := make([]frame, len(files))
	allGrey := true
	for i, h := range headers {
		var err error
		if frames[i], err = fit(h.width, h.height); err != nil {
			return nil, fmt.Errorf("%s: is %dx%d: %w", files[i].name, h.width, h.height, err)
		}
		if frames[i].width != frames[0].width || frames[i].height != frames[0].height {
			return nil, fmt.Errorf("pictures are of mixed sizes: %s is %dx%d, but %s is %dx%d; ask for a size to have them cut and resized",
				files[0].name, headers[0].width, headers[0].height, files[i].name, h.width, h.height)
		}
		allGrey = allGrey && h.grey
	}
	if channels == 0 {
		channels = 3
		if allGrey {
			channels = 1
		}
	}
	set := &Set{Channels: channels, Height: frames[0].height, Width: frames[0].width}
	each := channels * set.Height * set.Width
	set.Pixels = make([]uint8, len(files)*each)
	var mu sync.Mutex
	done := 0
	err := forEach(ctx, len(files), func(i int) error {
		if err := readPicture(set.Pixels[i*each:(i+1)*each], files[i], headers[i], frames[i]); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		done++
		if progress != nil {
			progress(done, len(files))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return set, nil
}

// maxPixelsPerByte bounds what a file's header may claim: deflate packs at most
// 1032 bytes into one, and a byte of PNG holds at most 8 pixels.
const (
	maxPixelsPerByte = 1032 * 8
	maxPixels        = 1 << 27
)

// readHeader reads the size of a picture and whether it is grey.
func readHeader(file pictureFile) (header, error) {
	f, size, err := file.reader()
	if err != nil {
		return header{}, err
	}
	defer f.Close()
	h, err := decodeHeader(f, size)
	if err != nil {
		return header{}, fmt.Errorf("%s: %w", file.name, err)
	}
	return h, nil
}

func decodeHeader(in io.Reader, bytes int64) (header, error) {
	size, grey, err := picture.DecodeConfig(in)
	if err != nil {
		return header{}, short(err)
	}
	if size.X <= 0 || size.Y <= 0 {
		return header{}, fmt.Errorf("is %dx%d pixels", size.X, size.Y)
	}
	if n := int64(size.X) * int64(size.Y); n > maxPixels || n > bytes*maxPixelsPerByte {
		return header{}, fmt.Errorf("claims %dx%d pixels in a file of %d bytes, want at most %d pixels and %d for each byte",
			size.X, size.Y, bytes, maxPixels, maxPixelsPerByte)
	}
	return header{size.X, size.Y, grey}, nil
}

// readPicture decodes a file whose header is known and writes the frame of it
// into dst, [C, H, W] with C of 1 or 3.
func readPicture(dst []uint8, file pictureFile, h header, fr frame) error {
	f, _, err := file.reader()
	if err != nil {
		return err
	}
	defer f.Close()
	decoded, err := picture.Decode(f)
	if err != nil {
		return fmt.Errorf("%s: %w", file.name, short(err))
	}
	if size := decoded.Bounds().Size(); size.X != h.width || size.Y != h.height {
		return fmt.Errorf("%s: was %dx%d and is %dx%d now", file.name, h.width, h.height, size.X, size.Y)
	}
	planes(dst, resized(decoded, fr))
	return nil
}

// resized returns the frame of a picture with premultiplied alpha in 16 bits,
// so that nothing is rounded to 8 bits more than once.
func resized(decoded image.Image, fr frame) *image.RGBA64 {
	out := image.NewRGBA64(image.Rect(0, 0, fr.width, fr.height))
	cut := fr.cut.Add(decoded.Bounds().Min)
	if cut.Dx() == fr.width && cut.Dy() == fr.height {
		draw.Draw(out, out.Bounds(), decoded, cut.Min, draw.Src)
		return out
	}
	draw.BiLinear.Scale(out, out.Bounds(), decoded, cut, draw.Src, nil)
	return out
}

// planes writes a picture into dst, [1, H, W] as luma (Rec. 601) or [3, H, W],
// laid over white where it is transparent, rounded to the nearest byte.
func planes(dst []uint8, picture *image.RGBA64) {
	n := picture.Rect.Dx() * picture.Rect.Dy()
	for i := range n {
		p := picture.Pix[8*i : 8*i+8 : 8*i+8]
		channel := func(c int) uint32 { return uint32(p[2*c])<<8 | uint32(p[2*c+1]) }
		behind := 65535 - channel(3)
		r, g, b := channel(0)+behind, channel(1)+behind, channel(2)+behind
		if len(dst) == n {
			// Weights 0.299, 0.587, 0.114 in 65536ths: grey stays what it is.
			dst[i] = to8((19595*r + 38470*g + 7471*b + 1<<15) >> 16)
			continue
		}
		dst[i], dst[n+i], dst[2*n+i] = to8(r), to8(g), to8(b)
	}
}

// to8 rounds a value of 0…65535 to 0…255.
func to8(v uint32) uint8 { return uint8((min(v, 65535)*255 + 32767) / 65535) }
