package graph

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Dim is one dimension, or a place along one: an integer expression over named
// symbols, such as 32, N, 4·N, H+1 or ⌊(H+1)/2⌋. It is kept in a normal form, a
// sum of products of symbols and of floor divisions, so that two dimensions
// are the same exactly when they compare equal with ==. The zero Dim is the
// constant 0.
type Dim struct {
	n int // the factor of a single product, 0 for a sum
	// syms are the factors of a product, in sorted order, joined by "·"; or a
	// sum as encode writes it, which begins with sumMark.
	syms string
}

const (
	times = "·"
	// Marks of the encoded form, which names of symbols do not hold.
	sumMark, coefMark   = "\x01", "\x02"
	open, over, closing = "\x03", "\x04", "\x05" // of ⌊a/b⌋
)

// term is one product of a sum: coefficient·factor·factor….
type term struct {
	n       int
	factors []string // symbols and encoded floor divisions
}

// Const returns the dimension n.
func Const(n int) Dim { return Dim{n: n} }

// Sym returns the dimension called name, such as "N" for a batch.
func Sym(name string) Dim { return Dim{n: 1, syms: name} }

// Constant returns the value of a dimension without symbols.
func (d Dim) Constant() (n int, ok bool) { return d.n, d.syms == "" }

// Factors returns the constant factor and the symbols of a product. A sum, and
// a floor division within a product, are one symbol.
func (d Dim) Factors() (n int, symbols []string) {
	switch {
	case d.syms == "":
		return d.n, nil
	case d.isSum():
		return 1, []string{d.String()}
	}
	for _, f := range split(d.syms, times) {
		symbols = append(symbols, factorText(f))
	}
	return d.n, symbols
}

func (d Dim) isSum() bool { return strings.HasPrefix(d.syms, sumMark) }

// terms returns d as a sum, without terms for 0.
func (d Dim) terms() []term {
	if !d.isSum() {
		if d.n == 0 {
			return nil
		}
		return []term{{d.n, split(d.syms, times)}}
	}
	var list []term
	for _, t := range split(d.syms[len(sumMark):], sumMark) {
		n, factors, _ := strings.Cut(t, coefMark)
		c, _ := strconv.Atoi(n)
		list = append(list, term{c, split(factors, times)})
	}
	return list
}

// split cuts an encoded text at marks that are not inside a floor division.
func split(s, mark string) (parts []string) {
	if s == "" {
		return nil
	}
	depth, start := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i : i+1] {
		case open:
			depth++
		case closing:
			depth--
		}
		if depth == 0 && strings.HasPrefix(s[i:], mark) {
			parts = append(parts, s[start:i])
			start = i + len(mark)
		}
	}
	return append(parts, s[start:])
}

// sum returns the normal form of a sum of products.
func sum(list []term) Dim {
	byFactors := make(map[string]int)
	for _, t := range list {
		slices.Sort(t.factors)
		byFactors[strings.Join(t.factors, times)] += t.n
	}
	keys := slices.DeleteFunc(slices.Collect(maps.Keys(byFactors)), func(k string) bool { return byFactors[k] == 0 })
	switch len(keys) {
	case 0:
		return Dim{}
	case 1:
		return Dim{n: byFactors[keys[0]], syms: keys[0]}
	}
	// Longer products first, constants last.
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(split(b, times)), len(split(a, times))), cmp.Compare(a, b))
	})
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "%s%d%s%s", sumMark, byFactors[k], coefMark, k)
	}
	return Dim{syms: b.String()}
}

// Add returns d+e.
func (d Dim) Add(e Dim) Dim {
	if d.syms == e.syms && !d.isSum() {
		p := Dim{n: d.n + e.n, syms: d.syms}
		if p.n == 0 {
			p.syms = ""
		}
		return p
	}
	return sum(append(d.terms(), e.terms()...))
}

// Sub returns d−e.
func (d Dim) Sub(e Dim) Dim { return d.Add(e.Mul(Const(-1))) }

// Mul returns the product of d and e.
func (d Dim) Mul(e Dim) Dim {
	if !d.isSum() && !e.isSum() && (d.syms == "" || e.syms == "") {
		p := Dim{n: d.n * e.n, syms: d.syms + e.syms}
		if p.n == 0 {
			p.syms = ""
		}
		return p
	}
	var list []term
	for _, a := range d.terms() {
		for _, b := range e.terms() {
			list = append(list, term{a.n * b.n, slices.Concat(a.factors, b.factors)})
		}
	}
	return sum(list)
}

// DivExact returns d/e where e divides d for every size of the symbols, by
// long division of polynomials.
func (d Dim) DivExact(e Dim) (quotient Dim, ok bool) {
	lead := e.terms()
	if len(lead) == 0 {
		return Dim{}, false
	}
	for steps := 0; ; steps++ {
		rest := d.terms()
		if len(rest) == 0 {
			return quotient, true
		}
		factors := slices.Clone(rest[0].factors)
		for _, f := range lead[0].factors {
			i := slices.Index(factors, f)
			if i < 0 {
				return Dim{}, false
			}
			factors = slices.Delete(factors, i, i+1)
		}
		if rest[0].n%lead[0].n != 0 || steps > 64 {
			return Dim{}, false
		}
		q := sum([]term{{rest[0].n / lead[0].n, factors}})
		quotient, d = quotient.Add(q), d.Sub(q.Mul(e))
	}
}

// Div returns ⌊d/e⌋ for e that is not 0.
func (d Dim) Div(e Dim) Dim {
	k, constant := e.Constant()
	if q, ok := d.DivExact(e); ok {
		return q
	}
	if !constant || k <= 0 {
		if n, ok := d.Constant(); ok && constant {
			return Const(floorDiv(n, k))
		}
		return Dim{n: 1, syms: open + d.encode() + over + e.encode() + closing}
	}
	// What k divides comes out of the brackets.
	var whole, rest []term
	for _, t := range d.terms() {
		whole = append(whole, term{floorDiv(t.n, k), t.factors})
		rest = append(rest, term{t.n - k*floorDiv(t.n, k), t.factors})
	}
	return sum(whole).Add(floored(sum(rest), k))
}

// floored returns ⌊d/k⌋ for coefficients between 0 and k.
func floored(d Dim, k int) Dim {
	if _, ok := d.Constant(); ok {
		return Dim{}
	}
	// ⌊(⌊a/m⌋+c)/k⌋ is ⌊(a+c·m)/(m·k)⌋.
	list := d.terms()
	constant := 0
	if last := list[len(list)-1]; len(last.factors) == 0 {
		constant, list = last.n, list[:len(list)-1]
	}
	if len(list) == 1 && list[0].n == 1 && len(list[0].factors) == 1 {
		if a, b, ok := division(list[0].factors[0]); ok {
			if m, ok := b.Constant(); ok && m > 0 {
				return a.Add(Const(constant * m)).Div(Const(m * k))
			}
		}
	}
	// A common divisor goes.
	common := k
	for _, t := range list {
		common = gcd(common, t.n)
	}
	if common > 1 {
		for i := range list {
			list[i].n /= common
		}
		return sum(append(list, term{constant / common, nil})).Div(Const(k / common))
	}
	return Dim{n: 1, syms: open + d.encode() + over + Const(k).encode() + closing}
}

// encode writes d so that decode reads it.
func (d Dim) encode() string { return strconv.Itoa(d.n) + coefMark + d.syms }

func decode(s string) Dim {
	n, syms, _ := strings.Cut(s, coefMark)
	c, _ := strconv.Atoi(n)
	return Dim{c, syms}
}

// division returns the parts of a factor that is a floor division.
func division(factor string) (a, b Dim, ok bool) {
	if !strings.HasPrefix(factor, open) {
		return a, b, false
	}
	parts := split(factor[len(open):len(factor)-len(closing)], over)
	return decode(parts[0]), decode(parts[1]), true
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
