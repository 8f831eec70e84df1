package graph

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Symbols returns the names of the symbols in d, sorted.
func (d Dim) Symbols() (names []string) {
	for _, t := range d.terms() {
		for _, f := range t.factors {
			if a, b, ok := division(f); ok {
				names = append(append(names, a.Symbols()...), b.Symbols()...)
			} else {
				names = append(names, f)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Replace returns d with symbols replaced by what is given for them.
func (d Dim) Replace(by func(symbol string) Dim) Dim {
	total := Dim{}
	for _, t := range d.terms() {
		p := Const(t.n)
		for _, f := range t.factors {
			if a, b, ok := division(f); ok {
				p = p.Mul(a.Replace(by).Div(b.Replace(by)))
			} else {
				p = p.Mul(by(f))
			}
		}
		total = total.Add(p)
	}
	return total
}

// Term is one product of a dimension: N times the factors. A factor is a
// symbol, or where Symbol is "" the floor of Over/Under.
type Term struct {
	N       int
	Factors []Factor
}

// Factor is one factor of a Term.
type Factor struct {
	Symbol      string
	Over, Under Dim
}

// Terms returns d as a sum of products, for those that compute it.
func (d Dim) Terms() []Term {
	var list []Term
	for _, t := range d.terms() {
		out := Term{N: t.n}
		for _, f := range t.factors {
			if a, b, ok := division(f); ok {
				out.Factors = append(out.Factors, Factor{Over: a, Under: b})
			} else {
				out.Factors = append(out.Factors, Factor{Symbol: f})
			}
		}
		list = append(list, out)
	}
	return list
}

// Least returns a number that d is at least, for all sizes of symbols of 1 or
// more; ok is false where none is known.
func (d Dim) Least() (n int, ok bool) {
	list := d.terms()
	// A floor division that is taken away is at most what is divided.
	for i, t := range list {
		if t.n < 0 && len(t.factors) == 1 {
			if a, b, found := division(t.factors[0]); found {
				if k, constant := b.Constant(); constant && k > 0 {
					rest := sum(slices.Delete(slices.Clone(list), i, i+1))
					scaled, ok := rest.Mul(Const(k)).Add(a.Mul(Const(t.n))).Least()
					return -floorDiv(-scaled, k), ok
				}
			}
		}
	}
	for _, t := range list {
		least := 1
		for _, f := range t.factors {
			low := 1
			if a, b, found := division(f); found {
				k, constant := b.Constant()
				if low, ok = a.Least(); !ok || !constant || k < 1 || low < 0 {
					return 0, false
				}
				low = floorDiv(low, k)
			}
			least *= low
		}
		if t.n < 0 && len(t.factors) > 0 {
			return 0, false
		}
		n += t.n * least
	}
	return n, true
}

// String returns d as it is printed: "32", "N", "4·N", "2·H−1" or "⌊(H+1)/2⌋".
func (d Dim) String() string {
	var b strings.Builder
	for i, t := range d.terms() {
		n := t.n
		switch {
		case n < 0 && (i > 0 || len(t.factors) > 0):
			b.WriteString("-")
			n = -n
		case i > 0:
			b.WriteString("+")
		}
		if len(t.factors) == 0 || n != 1 {
			b.WriteString(strconv.Itoa(n))
		}
		for j, f := range t.factors {
			if j > 0 || n != 1 {
				b.WriteString(times)
			}
			b.WriteString(factorText(f))
		}
	}
	if b.Len() == 0 {
		return "0"
	}
	return b.String()
}

func factorText(f string) string {
	a, b, ok := division(f)
	if !ok {
		return f
	}
	part := func(d Dim) string {
		if d.isSum() {
			return "(" + d.String() + ")"
		}
		return d.String()
	}
	return "⌊" + part(a) + "/" + part(b) + "⌋"
}

// bind returns the value of d, or the symbol that has no size.
func (d Dim) bind(sizes map[string]int) (n int, missing string) {
	for _, t := range d.terms() {
		p := t.n
		for _, f := range t.factors {
			size, known := sizes[f]
			if a, b, ok := division(f); ok {
				over, m := a.bind(sizes)
				under, k := b.bind(sizes)
				if missing = cmp.Or(m, k); missing != "" || under == 0 {
					return 0, cmp.Or(missing, factorText(f))
				}
				size, known = floorDiv(over, under), true
			}
			if !known {
				return 0, f
			}
			p *= size
		}
		n += p
	}
	return n, ""
}
