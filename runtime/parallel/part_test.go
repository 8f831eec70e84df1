package parallel

import (
	"math"
	"testing"

	"ebm/internal/testkit"
)

func TestParts(t *testing.T) {
	for _, n := range []int{0, 1, 3, 7, 100, math.MaxInt} {
		for _, count := range []int{1, 2, 3, 7, 1024} {
			at, least, most := 0, math.MaxInt, 0
			for i := 1; i <= count; i++ {
				first, end := Part{i, count}.Range(n)
				if first != at || end < first {
					t.Fatalf("part %d/%d of %d is %d to %d, want it to begin at %d", i, count, n, first, end, at)
				}
				at, least, most = end, min(least, end-first), max(most, end-first)
			}
			if at != n || most-least > 1 {
				t.Errorf("%d parts of %d end at %d, with sizes from %d to %d", count, n, at, least, most)
			}
		}
	}
	if first, end := (Part{}).Range(5); first != 0 || end != 5 || !(Part{}).Whole() || !(Part{1, 1}).Whole() || (Part{1, 2}).Whole() {
		t.Error("the zero part is everything")
	}
	if p, err := ParsePart("3/12"); err != nil || p != (Part{3, 12}) || p.String() != "3/12" {
		t.Errorf("%v, %v", p, err)
	}
	for _, bad := range []string{"", "1", "0/2", "3/2", "1/2/3", "a/2", "1/", "-1/2", "1/0", "1.5/2"} {
		_, err := ParsePart(bad)
		testkit.WantError(t, bad, err, "want a part I/N")
	}
}
