package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Read returns what read makes of a regular file. An error of read names the file.
func Read[T any](path string, read func(r io.Reader) (T, error)) (v T, err error) {
	f, err := Open(path)
	if err != nil {
		return v, err
	}
	defer f.Close()
	if v, err = read(f); err != nil {
		return v, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

// Parse returns what parse makes of the bytes of a regular file. An error of parse names
// the file.
func Parse[T any](path string, parse func(data []byte) (T, error)) (v T, err error) {
	data, err := ReadFile(path)
	if err != nil {
		return v, err
	}
	if v, err = parse(data); err != nil {
		return v, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

// JSON parses JSON text.
func JSON[T any](data []byte) (v T, err error) {
	err = json.Unmarshal(data, &v)
	return v, err
}

// Early returns the error of an input that ends where more was promised:
// io.ErrUnexpectedEOF for io.EOF.
func Early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Cancelled is a reader that fails when its context has ended.
type Cancelled struct {
	Context context.Context
	Reader  io.Reader
}

func (c Cancelled) Read(p []byte) (int, error) {
	if err := c.Context.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}
