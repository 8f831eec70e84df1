package metrics

import (
	"bytes"
	"encoding/binary"
	"flag"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// writeSessions leaves in dir the event files of a run that was stopped after
// step 5 and resumed from step 3.
func writeSessions(t *testing.T, dir string) {
	t.Helper()
	w := mustOpen(t, dir, -1)
	add(t, w, 1, 5)
	addEncoded(t, w, 5, "samples/grey", true)
	addEncoded(t, w, 5, "samples/colour", false)
	closed(t, w)
	w = mustOpen(t, dir, 3)
	for step := int64(4); step <= 6; step++ {
		if err := w.Add(step, map[string]float64{"loss": -float64(step)}); err != nil {
			t.Fatal(err)
		}
	}
	addEncoded(t, w, 4, "samples/grey", true)
	addEncoded(t, w, 6, "samples/colour", false)
	closed(t, w)
}

// addEncoded adds a picture of 4x3 from testdata: what Go's encoder makes of
// one may change with its version, and the golden files must not.
func addEncoded(t *testing.T, w *Writer, step int64, tag string, grey bool) {
	t.Helper()
	name := map[bool]string{true: "grey.png", false: "colour.png"}[grey]
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.events.add(imageEvent(w.now(), step, tag, b, 4, 3, grey)); err != nil {
		t.Fatal(err)
	}
}

func TestAddImage(t *testing.T) {
	for _, grey := range []bool{true, false} {
		dir := t.TempDir()
		w := mustOpen(t, dir, -1)
		if err := w.AddImage(5, "samples", picture(grey)); err != nil {
			t.Fatal(err)
		}
		closed(t, w)
		b, err := os.ReadFile(w.events.file.Name())
		if err != nil {
			t.Fatal(err)
		}
		start := bytes.Index(b, []byte("\x89PNG"))
		if start < 0 {
			t.Fatal("the event file holds no PNG")
		}
		got, err := png.Decode(bytes.NewReader(b[start:]))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 12 {
			x, y := i%4, i/4
			if want := color.RGBAModel.Convert(picture(grey).At(x, y)); color.RGBAModel.Convert(got.At(x, y)) != want {
				t.Errorf("pixel (%d, %d) is %v, want %v", x, y, got.At(x, y), want)
			}
		}
	}
	w := mustOpen(t, t.TempDir(), -1)
	if err := w.AddImage(5, "samples", image.NewGray(image.Rectangle{})); err == nil {
		t.Error("an empty picture was taken")
	}
	closed(t, w)
}

// The golden files were read by TensorBoard's own reader: testdata/read_events.py.
func TestEventFilesAreThoseTensorBoardRead(t *testing.T) {
	dir := t.TempDir()
	writeSessions(t, dir)
	entries, err := os.ReadDir(filepath.Join(dir, EventsFolder))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{"events.out.tfevents.1767225600.000000.ebm", "events.out.tfevents.1767225600.000001.ebm"}
	if !slices.Equal(names, want) {
		t.Fatalf("files %q, want %q", names, want)
	}
	for i, name := range names {
		got, err := os.ReadFile(filepath.Join(dir, EventsFolder, name))
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "run", name)
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("file %d differs from %s", i, golden)
		}
	}
}

func TestEventFileIsNamedAfterAllOthers(t *testing.T) {
	dir := t.TempDir()
	for i, c := range []struct {
		seconds int64
		want    string
	}{
		{100, "events.out.tfevents.0000000100.000000.ebm"},
		{100, "events.out.tfevents.0000000100.000001.ebm"},
		{99, "events.out.tfevents.0000000100.000002.ebm"}, // the clock was set back
		{101, "events.out.tfevents.0000000101.000000.ebm"},
	} {
		e, err := createEvents(dir, 0, time.Unix(c.seconds, 0))
		if err != nil {
			t.Fatal(err)
		}
		if got := filepath.Base(e.file.Name()); got != c.want {
			t.Errorf("file %d is %s, want %s", i, got, c.want)
		}
		if err := e.file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFraming(t *testing.T) {
	// The check value of CRC-32C is that of "123456789".
	if got := crc32.Checksum([]byte("123456789"), crc32.MakeTable(crc32.Castagnoli)); got != 0xe3069283 {
		t.Fatalf("CRC-32C of 123456789 is %#x", got)
	}
	b := appendFramed([]byte("before"), []byte("123456789"))
	record := b[len("before"):]
	if n := binary.LittleEndian.Uint64(record); n != 9 || len(record) != 8+4+9+4 {
		t.Errorf("length %d in a record of %d bytes", n, len(record))
	}
	crc := uint32(0xe3069283)
	want := (crc>>15 | crc<<17) + 0xa282ead8
	if got := binary.LittleEndian.Uint32(record[21:]); got != want {
		t.Errorf("masked checksum %#x, want %#x", got, want)
	}
}
