package weights

import (
	"bufio"
	"bytes"
	"math/big"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"ebm/models/tensor"
)

// interpret runs a pickle of a zip file.
func interpret(p string) (any, error) {
	u := newObjects(int64(len(p))).unpickler(newReader([]byte(p)), int64(len(p)))
	return u.load()
}

func TestPickleValues(t *testing.T) {
	for p, want := range map[string]any{
		"\x80\x02N.": nil,
		"\x80\x02(K\x01M\x01\x02J\xff\xff\xff\xfft.":    tuple{int64(1), int64(513), int64(-1)},
		"\x8a\x00\x8a\x02\x00\xff\x86.":                 tuple{int64(0), int64(-256)},
		"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00.": bigInt("8000000000000000"),
		"G\x3f\xf8\x00\x00\x00\x00\x00\x00.":            1.5,
		"\x8c\x02\xc3\xa9.":                             "é",
		"](K\x01K\x02eNa.":                              &list{[]any{int64(1), int64(2), nil}},
		"}(K\x01\x88K\x02\x89u.":                        &dict{[]any{int64(1), int64(2)}, []any{true, false}},
		"K\x07\x94h\x00\x86.":                           tuple{int64(7), int64(7)},
		"(K\x01K\x021K\x03.":                            int64(3),
		"K\x01K\x020.":                                  int64(1),
	} {
		got, err := interpret(p)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q gave %v, want %v; error %v", p, got, want, err)
		}
	}
}

func TestMalformedPickles(t *testing.T) {
	const storage = "(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQ"
	rebuild := func(args string) string {
		return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + args + "tR."
	}
	if _, err := interpret(rebuild("K\x00K\x02K\x03\x86K\x03K\x01\x86")); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]string{
		"empty":               "",
		"no stop":             "N",
		"value left at stop":  "K\x01q\x00K\x02h\x00\x86.",
		"nothing at stop":     ".",
		"mark at stop":        "(.",
		"protocol 9":          "\x80\x09N.",
		"unknown operation":   "\xff.",
		"text operation":      "I1\n.",
		"pop of nothing":      "0.",
		"tuple without mark":  "t.",
		"short tuple":         "N\x86.",
		"append to nothing":   "Na.",
		"append to tuple":     ")Na.",
		"append to dict":      "}Na.",
		"set in list":         "]NNs.",
		"key without value":   "}(Nu.",
		"get of nothing":      "h\x07.",
		"put of nothing":      "q\x00.",
		"long text":           "X\xff\xff\xff\xff.",
		"very long text":      "\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
		"long bytes":          "\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
		"bad UTF-8":           "X\x01\x00\x00\x00\xff.",
		"long number":         "\x8b\xff\xff\xff\x7f.",
		"global without end":  "cos",
		"long global":         "c" + strings.Repeat("x", 1000) + "\nx\n.",
		"global of numbers":   "K\x01K\x02\x93.",
		"arguments no tuple":  "ccollections\nOrderedDict\n]R.",
		"dict of a number":    "ccollections\nOrderedDict\nK\x01\x85R.",
		"dict of no pairs":    "ccollections\nOrderedDict\n](K\x01e\x85R.",
		"attributes of none":  "NNb.",
		"reference to none":   "NQ.",
		"reference, short":    "(X\x07\x00\x00\x00storagetQ.",
		"reference, no class": "(X\x07\x00\x00\x00storageNNNNtQ.",
		"negative storage":    strings.Replace(rebuild("K\x00)) "), "K\x06", "J\xff\xff\xff\xff", 1),
		"tensor of nothing":   "ctorch._utils\n_rebuild_tensor_v2\n)R.",
		"negative offset":     rebuild("J\xff\xff\xff\xffK\x02\x85K\x01\x85"),
		"negative dimension":  rebuild("K\x00J\xff\xff\xff\xff\x85K\x01\x85"),
		"negative stride":     rebuild("K\x05K\x02\x85J\xff\xff\xff\xff\x85"),
		"too few strides":     rebuild("K\x00K\x02K\x03\x86K\x01\x85"),
		"leaves the storage":  rebuild("K\x01K\x02K\x03\x86K\x03K\x01\x86"),
		"strides too large":   rebuild("K\x00K\x02K\x03\x86K\x04K\x01\x86"),
		"scalar outside":      rebuild("K\x06))"),
		"overflow":            rebuild("K\x00(" + strings.Repeat("J\xff\xff\xff\x7f", 8) + "t(" + strings.Repeat("J\xff\xff\xff\x7f", 8) + "t"),
	} {
		if v, err := interpret(p); err == nil {
			t.Errorf("%s: %q gave %v", name, p, v)
		}
	}
}

// entriesOf lists the tensors of a value of a pickle.
func entriesOf(v any) ([]entry, error) {
	root, err := newTree(newObjects(0), v)
	if err != nil {
		return nil, err
	}
	return root.entries("")
}

// Dictionaries that hold themselves, or each other many times, end.
func TestTangledDictionaries(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	self := &dict{}
	if err := self.set([]any{"a", self}); err != nil {
		t.Fatal(err)
	}
	if list, err := entriesOf(self); err != nil || len(list) > 0 {
		t.Errorf("a dictionary that holds only itself has tensors %v, error %v", list, err)
	}
	leaf := &view{storage: &storage{}}
	shared := &dict{keys: []any{"w"}, values: []any{leaf}}
	for range 30 {
		shared = &dict{keys: []any{"a", "b"}, values: []any{shared, shared}}
	}
	if _, err := entriesOf(shared); err == nil {
		t.Error("a dictionary with 2^30 paths was walked")
	}
	pair := any(leaf)
	for range 30 {
		pair = tuple{pair, pair}
	}
	if _, err := entriesOf(pair); err == nil {
		t.Error("a tuple with 2^30 paths was walked")
	}
	tensors := &dict{keys: []any{"w", "more"}, values: []any{leaf, nil}}
	tensors.values[1] = tensors
	if list, err := entriesOf(tensors); err != nil || len(list) == 0 || list[0].name != "w" {
		t.Errorf("a state dictionary that holds itself gave %v, error %v", list, err)
	}
}

// A few bytes of pickle must not turn one small storage into gigabytes.
func TestExpandedTensorsAreBounded(t *testing.T) {
	o := newObjects(1000)
	s := &storage{len: 1, users: 1, elements: tensor.New(tensor.Float32, 1)}
	huge := &view{storage: s, shape: []int{1 << 20, 1 << 10}, stride: []int64{0, 0}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := o.materialise(huge)
	runtime.ReadMemStats(&after)
	if err == nil || after.TotalAlloc-before.TotalAlloc > 1<<20 {
		t.Errorf("error %v after %d bytes", err, after.TotalAlloc-before.TotalAlloc)
	}
}

func FuzzUnpickle(f *testing.F) {
	f.Add("\x80\x02}(X\x01\x00\x00\x00aK\x01u.")
	f.Add("](K\x01K\x02eq\x00h\x00\x86.")
	f.Add("ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n" +
		"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQK\x00K\x02\x85K\x01\x85tR.")
	f.Add("cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR(K\x01K\x02\x85" +
		"cnumpy\ndtype\n(X\x02\x00\x00\x00f4\x89\x88tR(K\x03" +
		"X\x01\x00\x00\x00>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89C\x0812345678tb.")
	f.Add("\x80\x04cx\nY\n)\x81}X\x08\x00\x00\x00_modules}X\x01\x00\x00\x00ah\x00ssb.")
	f.Fuzz(func(t *testing.T, p string) {
		v, err := interpret(p)
		if err != nil {
			return
		}
		list, _ := entriesOf(v)
		for _, e := range folded(list) {
			if e.why == "" {
				_, _ = e.read()
			}
		}
	})
}

func newReader(data []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(data)) }

func bigInt(hex string) *big.Int {
	n, _ := new(big.Int).SetString(hex, 16)
	return n
}
