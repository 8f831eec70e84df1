package dataset

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"ebm/internal/files"
	"ebm/internal/memory"
	"ebm/models/tensor"
)

// Table is a table of numbers.
type Table struct {
	Columns []string       // names, nil for a file without a line of them
	Rows    *tensor.Tensor // [N D], float32
}

// ReadTable reads a file of numbers separated by commas, semicolons or tabs (.csv,
// .tsv), which may have a line of names first. An empty or missing number, one that
// is not finite, and lines of different lengths are errors that name the line.
func ReadTable(path string) (Table, error) { return files.Read(path, parseTable) }

func parseTable(in io.Reader) (t Table, err error) {
	head := make([]byte, 1<<12)
	n, err := io.ReadFull(in, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return t, err
	}
	text := strings.TrimPrefix(string(head[:n]), "\ufeff") // of spreadsheets
	r := csv.NewReader(io.MultiReader(strings.NewReader(text), in))
	r.Comma, r.ReuseRecord, r.TrimLeadingSpace = separator(text), true, true
	var values []float32
	columns := 0
	for row := 0; ; row++ {
		record, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return t, err // it names the line
		}
		if row == 0 {
			if columns = len(record); !numeric(record) {
				t.Columns = slices.Clone(record)
				continue
			}
		}
		for i, field := range record {
			v, err := strconv.ParseFloat(strings.TrimSpace(field), 32)
			if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
				line, _ := r.FieldPos(i)
				return t, fmt.Errorf("line %d, column %d: %q, want a number", line, i+1, field)
			}
			values = append(values, float32(v))
		}
		if len(values)&(1<<20-1) < columns {
			if err := memory.Check("numbers", len(values), 4); err != nil {
				return t, err
			}
		}
	}
	if len(values) == 0 {
		return t, errors.New("no numbers, want a line of them or more")
	}
	t.Rows = tensor.Of(values, len(values)/columns, columns)
	return t, nil
}

// separator is what stands between the numbers of the first line.
func separator(text string) rune {
	line, _, _ := strings.Cut(text, "\n")
	for _, c := range []rune{'\t', ';'} {
		if strings.ContainsRune(line, c) {
			return c
		}
	}
	return ','
}

func numeric(record []string) bool {
	for _, field := range record {
		if _, err := strconv.ParseFloat(strings.TrimSpace(field), 64); err != nil {
			return false
		}
	}
	return true
}
