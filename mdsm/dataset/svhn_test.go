package dataset

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// matWriter makes MAT-files of level 5.
type matWriter struct {
	order    binary.ByteOrder
	compress bool
	out      []byte
}

func newMAT(order binary.ByteOrder, compress bool) *matWriter {
	w := &matWriter{order: order, compress: compress}
	w.out = append(w.out, bytes.Repeat([]byte{' '}, 124)...)
	w.out = append(w.out, w.u16(0x0100)...)
	w.out = append(w.out, w.u16('M'<<8|'I')...)
	return w
}

func (w *matWriter) u16(v uint16) []byte {
	b := make([]byte, 2)
	w.order.PutUint16(b, v)
	return b
}

func (w *matWriter) u32(vs ...uint32) []byte {
	b := make([]byte, 4*len(vs))
	for i, v := range vs {
		w.order.PutUint32(b[4*i:], v)
	}
	return b
}

// element is one element, with its bytes in the head when they fit.
func (w *matWriter) element(kind uint32, data []byte) []byte {
	if n := len(data); 0 < n && n <= 4 {
		return append(append(w.u32(uint32(n)<<16|kind), data...), make([]byte, 4-n)...)
	}
	out := append(w.u32(kind, uint32(len(data))), data...)
	return append(out, make([]byte, (8-len(data)%8)%8)...)
}

// array adds an array of the given class.
func (w *matWriter) array(name string, class uint32, dims []uint32, kind uint32, data []byte) {
	var body []byte
	body = append(body, w.element(miUint32, w.u32(class, 0))...)
	body = append(body, w.element(miInt32, w.u32(dims...))...)
	body = append(body, w.element(miInt8, []byte(name))...)
	body = append(body, w.element(kind, data)...)
	matrix := append(w.u32(miMatrix, uint32(len(body))), body...)
	if !w.compress {
		w.out = append(w.out, matrix...)
		return
	}
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(matrix)
	z.Close()
	w.out = append(append(w.out, w.u32(miCompressed, uint32(b.Len()))...), b.Bytes()...)
}

// columns turns pictures [n, 3, 32, 32] to MATLAB's order.
func columns(pixels []uint8) []byte {
	out := make([]byte, len(pixels))
	for i, p := range pixels {
		n, c, y, x := i/3072, i/1024%3, i/32%32, i%32
		out[y+32*x+1024*c+3072*n] = p
	}
	return out
}

func float64Bytes(order binary.ByteOrder, vs ...float64) []byte {
	b := make([]byte, 8*len(vs))
	for i, v := range vs {
		order.PutUint64(b[8*i:], math.Float64bits(v))
	}
	return b
}

const mxDouble = 6

// svhnBytes is a file of the given pictures, with a variable of no interest
// before them.
func svhnBytes(order binary.ByteOrder, compress bool, pixels []uint8, labelKind uint32, labels []byte) []byte {
	w := newMAT(order, compress)
	n := uint32(len(pixels) / 3072)
	w.array("other", mxDouble, []uint32{1, 3}, miUint8, []byte{1, 2, 3})
	w.array("X", mxUint8, []uint32{32, 32, 3, n}, miUint8, columns(pixels))
	w.array("y", mxDouble, []uint32{n, 1}, labelKind, labels)
	return w.out
}

func TestSVHN(t *testing.T) {
	pixels := counting(3*3072, 5)
	little, big := binary.LittleEndian, binary.BigEndian
	for name, data := range map[string][]byte{
		"compressed":       svhnBytes(little, true, pixels, miUint8, []byte{10, 1, 9}),
		"plain":            svhnBytes(little, false, pixels, miUint8, []byte{10, 1, 9}),
		"big-endian":       svhnBytes(big, true, pixels, miDouble, float64Bytes(big, 10, 1, 9)),
		"16 bits":          svhnBytes(little, false, pixels, miInt16, []byte{10, 0, 1, 0, 9, 0}),
		"floating numbers": svhnBytes(little, false, pixels, miDouble, float64Bytes(little, 10, 1, 9)),
	} {
		t.Run(name, func(t *testing.T) {
			dir := folderOf(t, map[string][]byte{"train_32x32.mat": data})
			for _, at := range []string{dir, filepath.Join(dir, "train_32x32.mat")} {
				set := load(t, Spec{Name: "svhn", Dir: at})
				if !slices.Equal(set.Pixels, pixels) || !slices.Equal(set.Labels, []uint16{0, 1, 9}) {
					t.Errorf("pixels or labels %v differ", set.Labels)
				}
			}
			wantError(t, Spec{Name: "svhn", Dir: dir, Split: Test}, "test_32x32.mat")
		})
	}
}

func TestSVHNErrors(t *testing.T) {
	wantError(t, Spec{Name: "svhn"}, "train_32x32.mat")
	order := binary.LittleEndian
	pixels := counting(2*3072, 0)
	good := svhnBytes(order, false, pixels, miUint8, []byte{1, 2})
	packed := svhnBytes(order, true, pixels, miUint8, []byte{1, 2})
	damaged := slices.Clone(packed)
	damaged[len(damaged)-1] ^= 1
	noX := newMAT(order, false)
	noX.array("y", mxDouble, []uint32{1, 1}, miUint8, []byte{1})
	small := newMAT(order, false)
	small.array("X", mxUint8, []uint32{28, 28, 3, 1}, miUint8, make([]byte, 28*28*3))
	claims := newMAT(order, false)
	claims.array("X", mxUint8, []uint32{32, 32, 3, 1 << 30}, miUint8, make([]byte, 3072))
	hdf := slices.Clone(good)
	hdf[125] = 2
	twice := newMAT(order, false)
	for range 2 {
		twice.array("y", mxDouble, []uint32{1, 1}, miUint8, []byte{1})
	}
	for name, tc := range map[string]struct {
		data []byte
		says string
	}{
		"short header": {good[:50], "ends early"},
		"cut in X":     {good[:3000], "ends early"},
		"cut packed":   {packed[:600], "ends early"},
		"checksum":     {damaged, "checksum"},
		"not a MAT":    {bytes.Repeat([]byte{'x'}, 200), "not a MAT-file"},
		"version 7.3":  {hdf, "HDF5"},
		"no X":         {noX.out, "lacks the array X"},
		"size":         {small.out, "[28 28 3 1]"},
		"claims":       {claims.out, "want 3298534883328"},
		"twice":        {twice.out, "twice"},
		"label":        {svhnBytes(order, false, pixels, miUint8, []byte{1, 11}), "label 1 is 11"},
		"half":         {svhnBytes(order, false, pixels, miDouble, float64Bytes(order, 1, 1.5)), "label 1 is 1.5"},
		"count":        {svhnBytes(order, false, pixels, miUint8, []byte{1, 2, 3}), "holds 3 bytes, want 2"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folderOf(t, map[string][]byte{"train_32x32.mat": tc.data})
			wantError(t, Spec{Name: "svhn", Dir: dir}, "train_32x32.mat", tc.says)
		})
	}
}

// A header may claim any size: what is held must follow what is there.
func TestMATClaimsCostNothing(t *testing.T) {
	const claimed = 1 << 23
	w := newMAT(binary.LittleEndian, false)
	w.array("y", mxDouble, []uint32{claimed, 1}, miUint8, make([]byte, 64))
	claim := slices.Clone(w.out)
	at := bytes.LastIndex(claim, w.u32(miUint8, 64))
	copy(claim[at+4:], w.u32(claimed))
	copy(claim[128+4:], w.u32(claimed+64)) // the matrix around it
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := readSVHN(bytes.NewReader(claim))
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "ends after 64") {
		t.Errorf("error %v, want one that says how much is there", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > claimed/8 {
		t.Errorf("allocated %d bytes for a file of %d", n, len(claim))
	}
}

func FuzzMAT(f *testing.F) {
	pixels := counting(3072, 0)
	f.Add(svhnBytes(binary.LittleEndian, false, pixels, miUint8, []byte{1}))
	f.Add(svhnBytes(binary.LittleEndian, true, pixels, miUint8, []byte{1}))
	f.Add(svhnBytes(binary.BigEndian, true, pixels, miDouble, float64Bytes(binary.BigEndian, 3)))
	f.Add(newMAT(binary.LittleEndian, false).out)
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := readSVHN(bytes.NewReader(data))
		if err == nil && (len(all.labels) == 0 || len(all.pixels) != len(all.labels)*cifarPixels) {
			t.Fatalf("%d bytes and %d labels", len(all.pixels), len(all.labels))
		}
	})
}

// FuzzMATArrays takes small files of any arrays, which change faster than
// those with pictures in them.
func FuzzMATArrays(f *testing.F) {
	for _, compress := range []bool{false, true} {
		for kind, data := range map[uint32][]byte{miInt8: {255, 2}, miInt16: {1, 2, 3, 4}, miSingle: make([]byte, 8),
			miDouble: make([]byte, 16)} {
			w := newMAT(binary.LittleEndian, compress)
			w.array("y", mxDouble, []uint32{2, 1}, kind, data)
			w.array("long name of an array", mxDouble, []uint32{1, 1, 2}, kind, data)
			f.Add(w.out)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = eachMATArray(bytes.NewReader(data), func(a *matArray) error {
			numbers, err := a.numbers()
			if err != nil {
				return err
			}
			count := 1
			for _, d := range a.dims {
				count *= d
			}
			if len(numbers) != count {
				t.Fatalf("%d numbers for dimensions %v", len(numbers), a.dims)
			}
			return nil
		})
	})
}
