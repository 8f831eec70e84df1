package onnxwire

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestSeal changes every bit of a sealed file, which is noticed wherever the bit
// is one of the model.
func TestSeal(t *testing.T) {
	model := text(protowire.AppendVarint(protowire.AppendTag(nil, ModelIRVersion, protowire.VarintType), 8), ModelDoc,
		strings.Repeat("weights", 50))
	model = text(model, ModelMetadata, string(text(text(nil, EntryKey, "preset"), EntryValue, "mnist")))
	sealed := Seal(bytes.Clone(model))
	check := func(b []byte) (bool, error) { return CheckSeal(bytes.NewReader(b), int64(len(b))) }
	if ok, err := check(sealed); !ok || err != nil {
		t.Fatalf("a whole file: sealed %v, error %v", ok, err)
	}
	for i := range len(model) * 8 {
		b := bytes.Clone(sealed)
		b[i/8] ^= 1 << (i % 8)
		if _, err := check(b); err == nil {
			t.Errorf("bit %d was changed, and nothing said so", i)
		}
	}
	for i := range sealed { // a seal that is damaged itself may go, and nothing else may happen
		b := bytes.Clone(sealed)
		b[i] ^= 0x40
		_, _ = check(b)
		_, _ = check(sealed[:i])
	}
	anew := append(bytes.Clone(sealed), text(nil, ModelMetadata, string(text(text(nil, EntryKey, "a"), EntryValue, "b")))...)
	for name, b := range map[string][]byte{"no seal": model, "nothing": nil, "an entry behind it": anew,
		"another size": append(text(nil, ModelDoc, "more"), sealed...)} {
		if ok, err := check(b); ok || err != nil {
			t.Errorf("%s: sealed %v, error %v, want a file like others", name, ok, err)
		}
	}
}
