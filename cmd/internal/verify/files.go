package verify

import (
	"path/filepath"

	"ebm/internal/files"
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
	sum, n, err := files.Hash(path)
	return File{Role: role, Name: filepath.Base(path), Bytes: n, SHA256: sum}, err
}
