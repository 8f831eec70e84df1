package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"ebm/models/tensor"
)

// st makes a safetensors file of any header.
func st(header string, elements ...byte) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), elements...)
}

func mustAdd(t *testing.T, s *Set, name string, value *tensor.Tensor) {
	t.Helper()
	if err := s.Add(name, value); err != nil {
		t.Fatal(err)
	}
}

// sample is a set with every type.
func sample(t *testing.T) *Set {
	t.Helper()
	s := &Set{Metadata: map[string]string{"format": "pt", "<&>": "\"é\n"}}
	mustAdd(t, s, "z.bool", tensor.Of([]bool{true, false, true}, 3))
	mustAdd(t, s, "a.f32", tensor.Of([]float32{1, -2, 3.5, 0, 1e-30, 7}, 2, 3))
	mustAdd(t, s, "f64", tensor.Of([]float64{-1e300}))
	mustAdd(t, s, "f16", tensor.Of([]tensor.Float16Bits{0x3c00, 0x7c01, 1}, 3, 1))
	mustAdd(t, s, "bf16", tensor.Of([]tensor.BFloat16Bits{0x3f80}, 1))
	mustAdd(t, s, "i8", tensor.Of([]int8{-128, 127}, 2))
	mustAdd(t, s, "i16", tensor.Of([]int16{-32768}, 1, 1, 1))
	mustAdd(t, s, "i32", tensor.Of([]int32{-1 << 31, 1<<31 - 1}, 2))
	mustAdd(t, s, "i64", tensor.Of([]int64{-1 << 63}, 1))
	mustAdd(t, s, "u8", tensor.Of([]uint8{255}, 1))
	mustAdd(t, s, "empty", tensor.New(tensor.Float32, 3, 0))
	return s
}

// equal reports whether two sets hold the same tensors in any order.
func equal(a, b *Set) bool {
	for name, x := range a.All() {
		y, ok := b.Get(name)
		if !ok || !slices.Equal(x.Shape(), y.Shape()) || !reflect.DeepEqual(x.Raw(), y.Raw()) {
			return false
		}
	}
	return a.Len() == b.Len()
}

func TestSafetensorsBytes(t *testing.T) {
	s := &Set{Metadata: map[string]string{"b": "2", "a": "<1>"}}
	mustAdd(t, s, "y", tensor.Of([]uint8{9}, 1))
	mustAdd(t, s, "x", tensor.Of([]float32{1}))
	mustAdd(t, s, "b", tensor.Of([]float32{-2, 0.5}, 1, 2))
	var got bytes.Buffer
	if err := WriteSafetensors(&got, s); err != nil {
		t.Fatal(err)
	}
	header := `{"__metadata__":{"a":"<1>","b":"2"},` +
		`"b":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},` +
		`"x":{"dtype":"F32","shape":[],"data_offsets":[8,12]},` +
		`"y":{"dtype":"U8","shape":[1],"data_offsets":[12,13]}}`
	header += strings.Repeat(" ", -len(header)&7)
	want := st(header, 0, 0, 0, 0xc0, 0, 0, 0, 0x3f, 0, 0, 0x80, 0x3f, 9)
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("wrote\n%q, want\n%q", got.Bytes(), want)
	}
}

func TestSafetensorsRoundTrip(t *testing.T) {
	s := sample(t)
	var first, second bytes.Buffer
	if err := WriteSafetensors(&first, s); err != nil {
		t.Fatal(err)
	}
	got, err := ReadSafetensors(bytes.NewReader(first.Bytes()), int64(first.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if !equal(got, s) || !reflect.DeepEqual(got.Metadata, s.Metadata) {
		t.Errorf("set changed on the way:\n%v\n%v", got, s)
	}
	if got.Hash() != s.Hash() {
		t.Error("hash depends on the order")
	}
	if err := WriteSafetensors(&second, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("bytes depend on the order")
	}
	for n := range first.Len() {
		if _, err := ReadSafetensors(bytes.NewReader(first.Bytes()[:n]), int64(n)); err == nil {
			t.Fatalf("a file cut to %d bytes was accepted", n)
		}
	}
	empty := st("{}")
	if got, err := ReadSafetensors(bytes.NewReader(empty), int64(len(empty))); err != nil || got.Len() != 0 {
		t.Errorf("an empty file gives %v, error %v", got, err)
	}
}

func TestSafetensorsMalformed(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"no length":         {[]byte{1, 2, 3}, "length"},
		"long header":       {append(st("{}")[:7], 0xff), "header of"},
		"header to the end": {st(`{"a":`)[:10], "header of"},
		"no object":         {st(`[]`), "object"},
		"space first":       {st(` {}`), "object"},
		"two objects":       {st(`{}{}`), "after"},
		"ends early":        {st(`{"a":{"dtype":"F32"`), "EOF"},
		"bad UTF-8":         {st("{\"\xff\":1}"), "UTF-8"},
		"not an entry":      {st(`{"a":1}`), "found"},
		"unknown type":      {st(`{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}`, 0), "F8_E4M3"},
		"missing key":       {st(`{"a":{"dtype":"U8","shape":[1]}}`, 0), "want the keys"},
		"more keys":         {st(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}`, 0), "x"},
		"key twice":         {st(`{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 0), "twice"},
		"tensor twice": {st(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`,
			0, 0), "twice"},
		"metadata twice":   {st(`{"__metadata__":{},"__metadata__":{}}`), "twice"},
		"metadata no text": {st(`{"__metadata__":{"a":1}}`), "found 1"},
		"negative":         {st(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 0), "-1"},
		"fraction":         {st(`{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}`, 0), "1.0"},
		"overflow":         {st(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`), "too large"},
		"overflow of 0":    {st(`{"a":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}`), "too large"},
		"number too large": {st(`{"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,0]}}`), "9223372036854775808"},
		"three offsets":    {st(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}`, 0), "offsets"},
		"backwards":        {st(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`, 0), "offsets"},
		"wrong size":       {st(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,3]}}`, 0, 0, 0), "want 4 bytes"},
		"behind the end":   {st(`{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}}`, 0), "only 1"},
		"hole first":       {st(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 0, 0), "no tensor"},
		"hole between": {st(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, 0,
			0, 0), "no tensor"},
		"overlap": {st(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 0,
			0, 0), "overlap"},
		"bytes left": {st(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 0, 0), "after the last"},
		"no name":    {st(`{"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 0), "name"},
	} {
		_, err := ReadSafetensors(bytes.NewReader(c.data), int64(len(c.data)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

// A header that claims terabytes costs nothing, whatever size the caller
// believes the file to have.
func TestSafetensorsMemory(t *testing.T) {
	data := st(`{"a":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4000000000000]}}`, 1, 2, 3)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ReadSafetensors(bytes.NewReader(data), int64(len(data)))
	runtime.ReadMemStats(&after)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v, want %v", err, io.ErrUnexpectedEOF)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated for a file of %d", n, len(data))
	}
}

// TestSealedFiles turns every bit pattern of the elements once: no file with a
// hash is read that is not what was written.
func TestSealedFiles(t *testing.T) {
	s := sample(t)
	s.Seal()
	path := filepath.Join(t.TempDir(), "a.safetensors")
	if err := Save(path, s); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil || !equal(got, s) || got.Metadata[HashKey] != "" || got.Metadata["format"] != "pt" {
		t.Fatalf("read back %v, error %v", got, err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	start := 8 + int(binary.LittleEndian.Uint64(whole))
	for at := start; at < len(whole); at++ {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x10
		if err := os.WriteFile(path, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		// Every byte but 0 is true: such a flip changes nothing.
		if got, err := Load(path); err == nil && !equal(got, s) || err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("byte %d of %d is flipped: error %v", at, len(whole), err)
		}
	}
}

func TestSafetensorsRefusesToWrite(t *testing.T) {
	s := &Set{}
	mustAdd(t, s, "__metadata__", tensor.New(tensor.Bool))
	if err := WriteSafetensors(io.Discard, s); err == nil {
		t.Error("a tensor named __metadata__ was written")
	}
	bad := &Set{Metadata: map[string]string{"a": "\xff"}}
	if err := WriteSafetensors(io.Discard, bad); err == nil {
		t.Error("metadata that is no UTF-8 was written")
	}
}

func TestSet(t *testing.T) {
	var s Set
	for _, name := range []string{"", "\xff", strings.Repeat("x", 1<<16)} {
		if err := s.Add(name, tensor.New(tensor.Bool)); err == nil {
			t.Errorf("name %.10q was accepted", name)
		}
	}
	mustAdd(t, &s, "b", tensor.New(tensor.Bool, 1))
	mustAdd(t, &s, "a", tensor.New(tensor.Bool, 2))
	if err := s.Add("b", tensor.New(tensor.Bool)); err == nil {
		t.Error("a name was taken twice")
	}
	if got, ok := s.Get("a"); !ok || got.Len() != 2 {
		t.Errorf("tensor a is %v", got)
	}
	if _, ok := s.Get("c"); ok {
		t.Error("there is a tensor c")
	}
	var names []string
	for name := range s.All() {
		names = append(names, name)
	}
	if want := []string{"b", "a"}; !slices.Equal(names, want) || !slices.Equal(s.Names(), want) || s.Len() != 2 {
		t.Errorf("names are %q and %q, want %q", names, s.Names(), want)
	}
}

// The hash is written into exported models, so it never changes.
func TestHash(t *testing.T) {
	const want = "454900ec892f65b1da811211f92bdfa24fe03ba78695f6adb42d2128d47a696c"
	s := sample(t)
	if got := s.Hash(); got != want {
		t.Errorf("hash is %s, want %s", got, want)
	}
	seen := map[string]string{}
	for name, tensors := range map[string]map[string]*tensor.Tensor{
		"nothing":   {},
		"one":       {"a": tensor.Of([]float32{1, 0}, 2)},
		"name":      {"b": tensor.Of([]float32{1, 0}, 2)},
		"shape":     {"a": tensor.Of([]float32{1, 0}, 1, 2)},
		"transpose": {"a": tensor.Of([]float32{1, 0}, 2, 1)},
		"type":      {"a": tensor.Of([]int32{0x3f800000, 0}, 2)},
		"element":   {"a": tensor.Of([]float32{1, 1}, 2)},
		"cut in two": {
			"a": tensor.Of([]float32{1}, 1), "b": tensor.Of([]float32{0}, 1),
		},
	} {
		set := &Set{}
		for n, v := range tensors {
			mustAdd(t, set, n, v)
		}
		if other, ok := seen[set.Hash()]; ok {
			t.Errorf("%q and %q have one hash", name, other)
		}
		seen[set.Hash()] = name
	}
}

func FuzzReadSafetensors(f *testing.F) {
	var buf bytes.Buffer
	s := &Set{Metadata: map[string]string{"a": "b"}}
	if err := errors.Join(s.Add("x", tensor.Of([]float32{1, 2}, 1, 2)), s.Add("y", tensor.Of([]bool{true}, 1)),
		WriteSafetensors(&buf, s)); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add(st(`{"a":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]},"b":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}`,
		make([]byte, 8)...))
	f.Add(st(`{"a":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4000000000000]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ReadSafetensors(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		var first bytes.Buffer
		if err := WriteSafetensors(&first, s); err != nil {
			t.Fatal(err)
		}
		again, err := ReadSafetensors(bytes.NewReader(first.Bytes()), int64(first.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if again.Hash() != s.Hash() {
			t.Fatal("set changed when it was written and read")
		}
	})
}
