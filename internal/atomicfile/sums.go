package atomicfile

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ebm/internal/files"
)

// SumsFile is the name of a folder's list of SHA-256 sums, of files that have none
// of their own. It has the form of the sha256sum program, which checks it too.
const SumsFile = "SHA256SUMS"

// maxSums is the longest list that is read, in bytes.
const maxSums = 1 << 20

// WriteSealed makes a file as [Write] does, and enters its sum into the folder's
// list. The sum of the file before it is taken out first, so a file that has a
// sum is always the one that it is of.
func WriteSealed(path string, write func(io.Writer) error) error {
	dir, name := filepath.Split(filepath.Clean(path))
	if err := enterSum(dir, name, ""); err != nil {
		return err
	}
	h := sha256.New()
	if err := Write(path, func(w io.Writer) error { return write(io.MultiWriter(w, h)) }); err != nil {
		return err
	}
	return enterSum(dir, name, hex.EncodeToString(h.Sum(nil)))
}

// CheckSum compares a file with its sum in the list of its folder. It returns false
// when the list has none.
func CheckSum(path string) (checked bool, err error) {
	dir, name := filepath.Split(filepath.Clean(path))
	sums, err := readSums(dir)
	if err != nil || sums[name] == "" {
		return false, err
	}
	got, _, err := files.Hash(path)
	if err == nil && got != sums[name] {
		err = fmt.Errorf("%s is damaged: SHA-256 %s, but %s of its folder says %s", path, got, SumsFile, sums[name])
	}
	return true, err
}

// enterSum replaces the sum of a file, or takes it out when there is none.
func enterSum(dir, name, sum string) error {
	sums, err := readSums(dir)
	if err != nil || sums[name] == sum {
		return err
	}
	if sum == "" {
		delete(sums, name)
	} else {
		sums[name] = sum
	}
	return Write(filepath.Join(dir, SumsFile), func(w io.Writer) error {
		for _, name := range slices.Sorted(maps.Keys(sums)) {
			if _, err := fmt.Fprintf(w, "%s  %s\n", sums[name], name); err != nil {
				return err
			}
		}
		return nil
	})
}

// readSums reads a folder's list; one that is not there is empty.
func readSums(dir string) (map[string]string, error) {
	sums := make(map[string]string)
	path := filepath.Join(dir, SumsFile)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return sums, nil
	}
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxSums))
	for n := 1; lines.Scan(); n++ {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		if hash, err := hex.DecodeString(sum); !ok || err != nil || len(hash) != sha256.Size || name == "" {
			return nil, fmt.Errorf("%s: line %d is %.80q, want a SHA-256, two spaces and a file's name", path, n, lines.Text())
		}
		sums[name] = sum
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return sums, nil
}
