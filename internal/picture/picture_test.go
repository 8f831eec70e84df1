package picture

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ebm/models/tensor"
)

// ramp returns pictures whose element i is i/255, as far as that is in range.
func ramp(shape ...int) *tensor.Tensor {
	x := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Data[float32](x) {
		tensor.Data[float32](x)[i] = float32(i) / 255
	}
	return x
}

func TestBytesRoundsToNearestAndClips(t *testing.T) {
	nan := float32(math.NaN())
	inf := float32(math.Inf(1))
	in := []float32{-1, 0, 0.4999 / 255, 0.5001 / 255, 1.4 / 255, 127.5 / 255, 254.6 / 255, 1, 7, nan, inf, -inf}
	want := []uint8{0, 0, 0, 1, 1, 128, 255, 255, 255, 0, 255, 0}
	got, err := Bytes(tensor.Of(in, len(in)))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tensor.Data[uint8](got), want) {
		t.Errorf("got %v, want %v", tensor.Data[uint8](got), want)
	}
	if _, err := Bytes(tensor.New(tensor.Int64, 1)); err == nil || !strings.Contains(err.Error(), "int64") {
		t.Errorf("int64 pictures: error %v, want one that names the type", err)
	}
}

func TestEveryByteSurvivesTheWayThroughFloat32(t *testing.T) {
	got, err := Bytes(ramp(256))
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range tensor.Data[uint8](got) {
		if int(v) != i {
			t.Errorf("%d/255 became %d", i, v)
		}
	}
}

func TestNHWC(t *testing.T) {
	got, err := NHWC(tensor.Of([]uint8{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 1, 3, 2, 2))
	if err != nil {
		t.Fatal(err)
	}
	want := []uint8{1, 5, 9, 2, 6, 10, 3, 7, 11, 4, 8, 12}
	if !slices.Equal(tensor.Data[uint8](got), want) || !slices.Equal(got.Shape(), []int{1, 2, 2, 3}) {
		t.Errorf("got %v %v", got.Shape(), tensor.Data[uint8](got))
	}
	if _, err := NHWC(tensor.New(tensor.Uint8, 3, 2, 2)); err == nil {
		t.Error("a tensor of rank 3 was taken")
	}
}

func TestCropTakesTheMiddle(t *testing.T) {
	x := tensor.New(tensor.Float32, 2, 3, 32, 32)
	for i := range tensor.Data[float32](x) {
		tensor.Data[float32](x)[i] = float32(i)
	}
	got, err := Crop(x, 28, 28)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Shape(), []int{2, 3, 28, 28}) {
		t.Fatalf("shape %v", got.Shape())
	}
	// The last pixel of the last plane lies at row and column 2+27.
	last := float32(5*32*32 + 29*32 + 29)
	data := tensor.Data[float32](got)
	if data[0] != 2*32+2 || data[len(data)-1] != last {
		t.Errorf("first and last elements are %v and %v, want %v and %v", data[0], data[len(data)-1], 2*32+2, last)
	}
	if _, err := Crop(x, 33, 28); err == nil {
		t.Error("a crop larger than the picture was taken")
	}
}

func TestGridPlacesPictures(t *testing.T) {
	x := tensor.Of([]uint8{10, 20, 30}, 3, 1, 1, 1)
	img, err := Grid{Columns: 2, Padding: 1, Scale: 2, Background: 99}.Image(x)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]uint8{
		{99, 99, 99, 99, 99},
		{99, 10, 99, 20, 99},
		{99, 99, 99, 99, 99},
		{99, 30, 99, 99, 99},
		{99, 99, 99, 99, 99},
	}
	if img.Bounds() != image.Rect(0, 0, 10, 10) {
		t.Fatalf("bounds %v", img.Bounds())
	}
	for y := range 10 {
		for x := range 10 {
			if got := img.(*image.Gray).GrayAt(x, y).Y; got != want[y/2][x/2] {
				t.Errorf("pixel (%d, %d) is %d, want %d", x, y, got, want[y/2][x/2])
			}
		}
	}
}

func TestNCHWAndSurroundUndo(t *testing.T) {
	x := tensor.New(tensor.Uint8, 2, 3, 4, 6)
	for i := range tensor.Data[uint8](x) {
		tensor.Data[uint8](x)[i] = uint8(i)
	}
	last, err := NHWC(x)
	if err != nil {
		t.Fatal(err)
	}
	first, err := NCHW(last)
	if err != nil || !slices.Equal(first.Shape(), x.Shape()) || !slices.Equal(tensor.Data[uint8](first), tensor.Data[uint8](x)) {
		t.Errorf("NCHW does not undo NHWC: %v, %v", first, err)
	}
	wide, err := Surround(x, 7, 8)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Crop(wide, 4, 6)
	if err != nil || !slices.Equal(tensor.Data[uint8](back), tensor.Data[uint8](x)) {
		t.Errorf("Crop does not undo Surround: %v", err)
	}
	sum := func(v []uint8) (n int) {
		for _, b := range v {
			n += int(b)
		}
		return n
	}
	if sum(tensor.Data[uint8](wide)) != sum(tensor.Data[uint8](x)) {
		t.Error("what surrounds the pictures is not black")
	}
	if _, err := Surround(x, 3, 8); err == nil {
		t.Error("surrounded pictures with less")
	}
	if _, err := NCHW(ramp(1, 2, 2, 1)); err == nil {
		t.Error("NCHW took floats")
	}
}

func TestGridSetsColumnsApart(t *testing.T) {
	img, err := Grid{Columns: 3, Padding: 1, Background: 9, Apart: 1}.Image(ramp(6, 1, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	var row []uint8
	for x := range img.Bounds().Dx() {
		row = append(row, img.(*image.Gray).GrayAt(x, 3).Y)
	}
	if want := []uint8{9, 3, 9, 9, 9, 9, 4, 9, 5, 9}; !slices.Equal(row, want) {
		t.Errorf("the second row is %v, want %v", row, want)
	}
}

func TestGridPNGKeepsColours(t *testing.T) {
	x := ramp(5, 3, 4, 4)
	var a, b bytes.Buffer
	g := Grid{Padding: 2, Scale: 3, Background: 255}
	if err := g.WritePNG(&a, x); err != nil {
		t.Fatal(err)
	}
	if err := g.WritePNG(&b, x); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the same pictures gave two different files")
	}
	img, err := png.Decode(&a)
	if err != nil {
		t.Fatal(err)
	}
	// Five pictures make three columns and two rows.
	if want := image.Rect(0, 0, 3*(3*6+2), 3*(2*6+2)); img.Bounds() != want {
		t.Fatalf("bounds %v, want %v", img.Bounds(), want)
	}
	// Picture 4 starts at column 1 of row 1; its top left pixel holds
	// elements 192, 208 and 224.
	if got := color.RGBAModel.Convert(img.At(3*(2+6), 3*(2+6))); got != (color.RGBA{192, 208, 224, 255}) {
		t.Errorf("pixel is %v", got)
	}
}

func TestGridRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		grid Grid
		x    *tensor.Tensor
		want string
	}{
		"two channels": {Grid{}, ramp(1, 2, 3, 3), "2 channels"},
		"nothing":      {Grid{}, ramp(0, 1, 3, 3), "no pictures"},
		"negative":     {Grid{Padding: -1}, ramp(1, 1, 3, 3), "padding -1"},
		"huge":         {Grid{Scale: math.MaxInt}, ramp(1, 1, 3, 3), "at most"},
		"rank":         {Grid{}, ramp(3, 3), "[N, C, H, W]"},
	} {
		err := c.grid.WritePNG(&bytes.Buffer{}, c.x)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	x := ramp(3, 1, 2, 2)
	if err := WriteFolder(dir, 9, x); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	if !slices.Equal(names, []string{"000009.png", "000010.png", "000011.png"}) {
		t.Fatalf("files %v", names)
	}
	f, err := os.Open(filepath.Join(dir, "000011.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if got := img.(*image.Gray).Pix; !slices.Equal(got, []uint8{8, 9, 10, 11}) {
		t.Errorf("pixels %v", got)
	}
	if err := WriteFolder(filepath.Join(dir, "absent"), 0, x); err == nil {
		t.Error("a folder that does not exist was taken")
	}
}

func TestAnimationOfGreysIsExact(t *testing.T) {
	frames := []*tensor.Tensor{ramp(4, 1, 8, 8), tensor.New(tensor.Float32, 4, 1, 8, 8)}
	var b bytes.Buffer
	a := Animation{Grid: Grid{Columns: 2}, Delay: 50 * time.Millisecond, Hold: time.Second}
	if err := a.WriteGIF(&b, frames); err != nil {
		t.Fatal(err)
	}
	g, err := gif.DecodeAll(&b)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(g.Delay, []int{5, 105}) || g.LoopCount != 0 {
		t.Errorf("delays %v, loops %d", g.Delay, g.LoopCount)
	}
	// Element 64 of the ramp is the first of the second picture.
	if got := color.GrayModel.Convert(g.Image[0].At(8, 0)); got != (color.Gray{Y: 64}) {
		t.Errorf("pixel is %v", got)
	}
}

func TestAnimationOfColoursIsClose(t *testing.T) {
	// A smooth picture of 64x64 distinct colours.
	x := tensor.New(tensor.Uint8, 1, 3, 64, 64)
	d := tensor.Data[uint8](x)
	for i := range 64 * 64 {
		d[i], d[4096+i], d[2*4096+i] = uint8(4*(i%64)), uint8(4*(i/64)), uint8(2*(i%64)+2*(i/64))
	}
	var b bytes.Buffer
	if err := (Animation{}).WriteGIF(&b, []*tensor.Tensor{x}); err != nil {
		t.Fatal(err)
	}
	img, err := gif.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(img.(*image.Paletted).Palette); n != 256 {
		t.Errorf("palette of %d colours, want 256", n)
	}
	var squares, shift float64
	for i := range 64 * 64 {
		r, g, b, _ := img.At(i%64, i/64).RGBA()
		for c, v := range []uint32{r, g, b} {
			e := float64(v>>8) - float64(d[c*4096+i])
			squares += e * e
			shift += e
		}
	}
	n := float64(3 * 64 * 64)
	if rms, mean := math.Sqrt(squares/n), shift/n; rms > 12 || math.Abs(mean) > 1 {
		t.Errorf("root mean square error %.1f and mean error %.2f levels, want at most 12 and 1", rms, mean)
	}
}

func TestAnimationWithFewColoursIsExact(t *testing.T) {
	x := tensor.Of([]uint8{255, 1, 0, 2, 0, 3}, 1, 3, 1, 2)
	var b bytes.Buffer
	if err := (Animation{Grid: Grid{Scale: 3}}).WriteGIF(&b, []*tensor.Tensor{x}); err != nil {
		t.Fatal(err)
	}
	img, err := gif.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	for x, want := range map[int]color.RGBA{2: {255, 0, 0, 255}, 3: {1, 2, 3, 255}} {
		if got := color.RGBAModel.Convert(img.At(x, 2)); got != want {
			t.Errorf("pixel %d is %v, want %v", x, got, want)
		}
	}
}

func TestAnimationRefuses(t *testing.T) {
	if err := (Animation{}).WriteGIF(&bytes.Buffer{}, nil); err == nil {
		t.Error("an animation without frames was taken")
	}
	err := Animation{}.WriteGIF(&bytes.Buffer{}, []*tensor.Tensor{ramp(1, 1, 2, 2), ramp(2, 1, 2, 2)})
	if err == nil || !strings.Contains(err.Error(), "frame 1") {
		t.Errorf("frames of two shapes: error %v", err)
	}
}
