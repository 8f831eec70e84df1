package verify

import (
	"crypto/sha256"
	"ebm/internal/files"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
)

// File names a file that a certificate rests on.
type File struct {
	Role   string `json:"role"` // what it is, such as "reference"
	Name   string `json:"name"` // without its folder
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // in hexadecimal
}

// HashFile reads a regular file and returns what a certificate says of it.
func HashFile(role, path string) (File, error) {
	f, err := files.Open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return File{}, err
	}
	if !info.Mode().IsRegular() {
		return File{}, fmt.Errorf("%s: not a regular file", path)
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	return File{Role: role, Name: filepath.Base(path), Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}
