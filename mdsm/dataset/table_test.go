package dataset

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/tensor"
)

func TestReadTable(t *testing.T) {
	for text, want := range map[string]struct {
		columns []string
		shape   []int
		first   float32
	}{
		"a,b\n1,2\n3,4\n5,6\n":             {[]string{"a", "b"}, []int{3, 2}, 1},
		"\ufeffx;y\r\n-1.5; 2e3\r\n":       {[]string{"x", "y"}, []int{1, 2}, -1.5},
		"7\t8\t9":                          {nil, []int{1, 3}, 7},
		"\"1\",\"2\"\n":                    {nil, []int{1, 2}, 1},
		strings.Repeat("0.25,1\n", 20_000): {nil, []int{20_000, 2}, 0.25},
	} {
		path := filepath.Join(t.TempDir(), "t.csv")
		testkit.Write(t, path, []byte(text))
		got, err := ReadTable(path)
		if err != nil {
			t.Errorf("%.20q: %v", text, err)
			continue
		}
		if !slices.Equal(got.Columns, want.columns) || !slices.Equal(got.Rows.Shape(), want.shape) ||
			tensor.Data[float32](got.Rows)[0] != want.first {
			t.Errorf("%.20q: columns %q of %v", text, got.Columns, got.Rows)
		}
	}
	for text, want := range map[string]string{
		"":                 "no numbers",
		"a,b\n":            "no numbers",
		"1,2\n3\n":         "line 2",
		"1,2\n3,\n":        `line 2, column 2: "", want a number`,
		"1,2\n3,nan\n":     "want a number",
		"1,2\n3,1e999\n":   "want a number",
		"1,2\n\"3,4\n":     "line 2",
		"a,b\n1,2\nc,d\n":  `line 3, column 1: "c"`,
		"1,2\n3,4\x00\n,,": "column 2",
	} {
		_, err := parseTable(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func FuzzTable(f *testing.F) {
	for _, text := range []string{"a,b\n1,2\n", "1;2\n3;4", "\ufeff1\t2\n", "\"1\n\"", "1,2\n3\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseTable(strings.NewReader(string(text)))
		if err != nil {
			return
		}
		if got.Rows.Rank() != 2 || got.Rows.Len() == 0 || got.Columns != nil && len(got.Columns) != got.Rows.Shape()[1] {
			t.Errorf("columns %q of %v", got.Columns, got.Rows)
		}
	})
}
