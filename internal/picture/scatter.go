package picture

import (
	"image"
	"image/color"
	"io"
	"math"
)

// Scatter draws points in the plane over the contours of a function.
type Scatter struct {
	Side int // of the picture, in pixels
	// MinX to MaxY are the part of the plane that is shown.
	MinX, MaxX, MinY, MaxY float64
	// Levels is the number of bands of equal height into which the function's values are
	// cut.
	Levels int
}

// At returns the place of the middle of a pixel.
func (s Scatter) At(column, row int) (x, y float64) {
	x = s.MinX + (s.MaxX-s.MinX)*(float64(column)+0.5)/float64(s.Side)
	y = s.MaxY - (s.MaxY-s.MinY)*(float64(row)+0.5)/float64(s.Side)
	return x, y
}

// WritePNG draws points (x, y), one behind another, over the function's values
// [Side·Side], row by row from above, as they are at the middle of each pixel. The
// darkest band is that of the lowest values; what is further above these than the mean
// is in the lightest.
func (s Scatter) WritePNG(w io.Writer, values []float32, points []float32) error {
	low, high := math.Inf(1), 0.0
	for _, v := range values {
		low = math.Min(low, float64(v))
	}
	for _, v := range values {
		high += (math.Min(float64(v), low+1e6) - low) / float64(len(values))
	}
	band := func(v float32) int {
		return min(int(float64(s.Levels)*(float64(v)-low)/math.Max(high, 1e-30)), s.Levels-1)
	}
	img := image.NewRGBA(image.Rect(0, 0, s.Side, s.Side))
	for i, v := range values {
		row, column := i/s.Side, i%s.Side
		b := band(v)
		light := 120 + 125*float64(b)/float64(max(s.Levels-1, 1))
		shade := color.RGBA{uint8(light * 0.9), uint8(light * 0.95), uint8(math.Min(light*1.05, 255)), 255}
		if column+1 < s.Side && band(values[i+1]) != b || row+1 < s.Side && band(values[i+s.Side]) != b {
			shade = color.RGBA{90, 105, 130, 255}
		}
		img.SetRGBA(column, row, shade)
	}
	dot := color.RGBA{190, 40, 30, 255}
	for i := 0; i+1 < len(points); i += 2 {
		column := int(float64(s.Side) * (float64(points[i]) - s.MinX) / (s.MaxX - s.MinX))
		row := int(float64(s.Side) * (s.MaxY - float64(points[i+1])) / (s.MaxY - s.MinY))
		for dy := range 2 {
			for dx := range 2 {
				if p := image.Pt(column+dx, row+dy); p.In(img.Rect) {
					img.SetRGBA(p.X, p.Y, dot)
				}
			}
		}
	}
	return encodePNG(w, img)
}
