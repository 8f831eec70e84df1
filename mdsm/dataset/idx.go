package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"ebm/internal/files"
)

// idx is an array of bytes in the format that MNIST uses: two zero bytes, the
// element type (8 for bytes), the number of dimensions, every dimension as a
// big-endian 32-bit number, and the elements in row-major order.
type idx struct {
	dims []int
	data []uint8
	sum  string // SHA-256 of header and elements, in hexadecimal
}

// readIDXFile reads an idx file, gzipped or not, that must have rank
// dimensions.
func readIDXFile(name string, rank int) (*idx, error) {
	return files.Read(name, func(r io.Reader) (*idx, error) {
		in := bufio.NewReader(r)
		if head, _ := in.Peek(2); !bytes.Equal(head, []byte{0x1f, 0x8b}) {
			return readIDX(in, rank)
		}
		unzipped, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		return readIDX(unzipped, rank)
	})
}

// readIDX reads one idx array to the end of r. It never holds more than twice
// what r really gives, whatever the dimensions claim.
func readIDX(r io.Reader, rank int) (*idx, error) {
	head := make([]byte, 4+4*rank)
	n, err := io.ReadFull(r, head)
	if magic := []byte{0, 0, 8, byte(rank)}; n >= len(magic) && !bytes.HasPrefix(head, magic) {
		return nil, fmt.Errorf("starts with % x, want % x (idx, bytes, %d dimensions)", head[:4], magic, rank)
	}
	if err != nil {
		return nil, fmt.Errorf("idx header of %d bytes: %w", len(head), short(err))
	}
	a := &idx{dims: make([]int, rank)}
	size := int64(1)
	for i := range a.dims {
		d := int64(binary.BigEndian.Uint32(head[4+4*i:]))
		if d > 0 && size > math.MaxInt32/d {
			return nil, fmt.Errorf("idx dimensions % x hold more than %d bytes", head[4:], math.MaxInt32)
		}
		size *= d
		a.dims[i] = int(d)
	}
	// One byte more than wanted tells a longer file.
	var buf bytes.Buffer
	got, err := buf.ReadFrom(io.LimitReader(r, size+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("after %d of %d bytes: %w", got, size, short(err))
	case got < size:
		return nil, fmt.Errorf("holds %d bytes after the header, want %d for dimensions %v", got, size, a.dims)
	case got > size:
		return nil, fmt.Errorf("holds more than the %d bytes that dimensions %v need", size, a.dims)
	}
	a.data = buf.Bytes()
	hash := sha256.New()
	hash.Write(head)
	hash.Write(a.data)
	a.sum = hex.EncodeToString(hash.Sum(nil))
	return a, nil
}

// short says in plain words that a file ended early.
func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file ends early")
	}
	return err
}

// idxPair is the two files of one split.
type idxPair struct{ images, labels string }

// findIDX looks for the images and labels of a split in a folder, told apart
// by name as MNIST's own files are: train-images-idx3-ubyte,
// t10k-labels.idx1-ubyte.gz and so on.
func findIDX(folder string, split Split) (idxPair, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return idxPair{}, err
	}
	find := func(part string) (string, error) {
		found, foundStem := "", ""
		for _, e := range entries {
			stem := strings.ToLower(strings.TrimSuffix(e.Name(), ".gz"))
			if e.IsDir() || !isIDXName(stem, split, part) {
				continue
			}
			if found != "" && stem != foundStem {
				return "", fmt.Errorf("%s holds both %s and %s: which one is meant?", folder, found, e.Name())
			}
			// The plain file sorts before the gzipped one and is read faster.
			if found == "" {
				found, foundStem = e.Name(), stem
			}
		}
		return found, nil
	}
	images, err := find("images")
	if err != nil {
		return idxPair{}, err
	}
	labels, err := find("labels")
	if err != nil {
		return idxPair{}, err
	}
	return idxPair{images, labels}, nil
}

// isIDXName reports whether a file name in lower case, without .gz, is that of
// the part ("images" or "labels") of the split. Anything may stand before
// "train".
func isIDXName(stem string, split Split, part string) bool {
	kind := "idx3-ubyte"
	if part == "labels" {
		kind = "idx1-ubyte"
	}
	prefixes := []string{"train"}
	if split == Test {
		prefixes = []string{"t10k", "test"}
	}
	for _, p := range prefixes {
		for _, sep := range []string{"-", "."} {
			if strings.HasSuffix(stem, p+"-"+part+sep+kind) {
				return true
			}
		}
	}
	return false
}
