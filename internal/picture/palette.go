package picture

import (
	"image"
	"image/color"
	"slices"
)

// bin counts the pixels whose colours agree in the upper five bits of each
// channel, and sums their channels.
type bin struct {
	count float64
	sum   [3]float64
}

// box is a set of bins with its mean colour and, for the channel along which
// it is widest, the sum of squared distances from the mean.
type box struct {
	bins   []bin
	mean   [3]float64
	widest int
	spread float64
}

// medianCut returns 256 colours that represent img: starting with one box of
// all colours, the box with the largest squared error along a channel is
// split at its mean there (Heckbert's algorithm with Wu's choice of box).
func medianCut(img *image.RGBA) color.Palette {
	boxes := []box{newBox(histogram(img))}
	for len(boxes) < 256 {
		at := 0
		for i := range boxes {
			if boxes[i].spread > boxes[at].spread {
				at = i
			}
		}
		b := boxes[at]
		if b.spread < 1e-6 { // one colour, but for rounding
			break
		}
		split := partition(b)
		boxes[at] = newBox(b.bins[:split])
		boxes = append(boxes, newBox(b.bins[split:]))
	}
	palette := make(color.Palette, len(boxes))
	for i, b := range boxes {
		palette[i] = color.RGBA{uint8(b.mean[0] + 0.5), uint8(b.mean[1] + 0.5), uint8(b.mean[2] + 0.5), 255}
	}
	return palette
}

func histogram(img *image.RGBA) []bin {
	bins := make([]bin, 1<<15)
	for p := 0; p < len(img.Pix); p += 4 {
		r, g, b := img.Pix[p], img.Pix[p+1], img.Pix[p+2]
		at := &bins[int(r>>3)<<10|int(g>>3)<<5|int(b>>3)]
		at.count++
		at.sum[0] += float64(r)
		at.sum[1] += float64(g)
		at.sum[2] += float64(b)
	}
	return slices.DeleteFunc(bins, func(b bin) bool { return b.count == 0 })
}

func newBox(bins []bin) box {
	b := box{bins: bins}
	var count float64
	for _, n := range bins {
		count += n.count
		for c := range b.mean {
			b.mean[c] += n.sum[c]
		}
	}
	for c := range b.mean {
		b.mean[c] /= count
		spread := 0.0
		for _, n := range bins {
			d := n.sum[c]/n.count - b.mean[c]
			spread += n.count * d * d
		}
		if spread > b.spread {
			b.spread, b.widest = spread, c
		}
	}
	return b
}

// partition moves the bins of b below its mean along the widest channel to
// the front and returns their number. Both parts have at least one bin
// because the spread is not zero but for rounding.
func partition(b box) int {
	front := 0
	for i, n := range b.bins {
		if n.sum[b.widest]/n.count < b.mean[b.widest] {
			b.bins[i], b.bins[front] = b.bins[front], b.bins[i]
			front++
		}
	}
	return front
}
