package graph

import (
	"strconv"
	"strings"
	"unicode"
)

// ParseDim reads a dimension as String writes it: a number, a symbol, or an
// expression over symbols whose names are letters, digits, "_" and ".". Any
// other text is the name of one symbol.
func ParseDim(text string) Dim {
	p := &dimParser{rest: text}
	if d, ok := p.sum(); ok && p.rest == "" {
		return d
	}
	return Sym(text)
}

type dimParser struct{ rest string }

func (p *dimParser) take(token string) bool {
	rest, ok := strings.CutPrefix(p.rest, token)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *dimParser) sum() (d Dim, ok bool) {
	sign := 1
	if p.take("-") {
		sign = -1
	}
	for {
		t, ok := p.product()
		if !ok {
			return Dim{}, false
		}
		d = d.Add(t.Mul(Const(sign)))
		switch {
		case p.take("+"):
			sign = 1
		case p.take("-"):
			sign = -1
		default:
			return d, true
		}
	}
}

func (p *dimParser) product() (d Dim, ok bool) {
	d = Const(1)
	for {
		f, ok := p.factor()
		if !ok {
			return Dim{}, false
		}
		d = d.Mul(f)
		for _, t := range d.Terms() {
			if t.N > 1<<40 || t.N < -1<<40 {
				return Dim{}, false
			}
		}
		if !p.take(times) {
			return d, true
		}
	}
}

func (p *dimParser) factor() (Dim, bool) {
	if p.take("⌊") {
		a, ok := p.part()
		if !ok || !p.take("/") {
			return Dim{}, false
		}
		b, ok := p.part()
		if !ok || b == (Dim{}) || !p.take("⌋") {
			return Dim{}, false
		}
		return a.Div(b), true
	}
	end := strings.IndexFunc(p.rest, func(r rune) bool { return r != '_' && r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	if n, err := strconv.Atoi(word); err == nil {
		return Const(n), n < 1<<31
	}
	return Sym(word), word != "" && !unicode.IsDigit([]rune(word)[0])
}

// part is a sum in brackets, or a product.
func (p *dimParser) part() (Dim, bool) {
	if p.take("(") {
		d, ok := p.sum()
		return d, ok && p.take(")")
	}
	return p.product()
}
