package onnxwire

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"ebm/internal/files"
)

// SealKey is the entry of a model's metadata that says what the file has to
// hold: the SHA-256 of the bytes before it, and their number.
const SealKey = "content_sha256"

// DataKey is the entry of a model's metadata that says what the file of external
// data beside it has to hold: its SHA-256 and its name.
const DataKey = "external_data_sha256"

// DataSeal returns the value of [DataKey].
func DataSeal(sum, name string) string { return sum + " " + name }

// CheckData compares the file of external data beside a model, in dir, with the
// seal in the model's metadata. It returns false for a model without one.
func CheckData(dir string, metadata map[string]string) (sealed bool, err error) {
	seal, ok := metadata[DataKey]
	if !ok {
		return false, nil
	}
	want, name, _ := strings.Cut(seal, " ")
	if name == "" || filepath.Base(name) != name || !filepath.IsLocal(name) {
		return true, fmt.Errorf("%s %.120q, want a SHA-256 and the name of a file beside the model", DataKey, seal)
	}
	got, _, err := files.Hash(filepath.Join(dir, name))
	if err == nil && got != want {
		err = fmt.Errorf("its weights in %s were damaged or changed after they were written: SHA-256 %s, want %s (where they were changed on "+
			"purpose, take %s out of the model's metadata)", name, got, want, DataKey)
	}
	return true, err
}

// Seal appends the entry [SealKey] to a serialised model, as the last field of
// the file, so that it covers every byte of the model.
func Seal(model []byte) []byte {
	entry := text(nil, EntryKey, SealKey)
	entry = text(entry, EntryValue, sealOf(sha256.Sum256(model), int64(len(model))))
	return text(model, ModelMetadata, string(entry))
}

func text(to []byte, field protowire.Number, content string) []byte {
	return protowire.AppendString(protowire.AppendTag(to, field, protowire.BytesType), content)
}

func sealOf(hash [sha256.Size]byte, size int64) string {
	return fmt.Sprintf("%x of %d bytes", hash, size)
}

// CheckSeal compares the size bytes of a model's file with its seal. It returns
// false for a file without one, and for one that a tool wrote anew: its size is
// another, or the seal is not at its end.
func CheckSeal(r io.ReaderAt, size int64) (sealed bool, err error) {
	const longest = 256 // more than a seal has
	tail := make([]byte, min(size, longest))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return false, err
	}
	key := bytes.LastIndex(tail, text(nil, EntryKey, SealKey))
	if key < 0 {
		return false, nil
	}
	_, _, n := protowire.ConsumeField(tail[key:])
	num, value, m := protowire.ConsumeField(tail[key+n:])
	if num != EntryValue || m < 0 || value != protowire.BytesType || key+n+m != len(tail) {
		return false, nil
	}
	want, _ := protowire.ConsumeBytes(tail[key+n+1:])
	covered := size - int64(len(tail)-key) - 2 // less the tag and the length of the entry
	var number int64
	var hash []byte
	if _, err := fmt.Sscanf(string(want), "%x of %d bytes", &hash, &number); err != nil || number != covered {
		return false, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(r, 0, covered)); err != nil {
		return false, err
	}
	if got := sealOf([sha256.Size]byte(h.Sum(nil)), covered); got != string(want) {
		return true, fmt.Errorf("the file was damaged or changed after it was written: SHA-256 %s, want %s (where it was changed on purpose, "+
			"take %s out of its metadata)",
			got, want, SealKey)
	}
	return true, nil
}
