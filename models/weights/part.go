package weights

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ebm/models/tensor"
)

// Part is tensors of a file that belong together, under the names that they
// have among themselves.
type Part struct {
	// Place is what their names begin with in the file, such as "ema." or "state_dict.module.".
	Place string
	// Averaged says that they are averages of weights.
	Averaged bool

	file    *File
	entries []entry
	rank    rank
	used    []entry // what Keep left, in its order
}

// Info is the type and shape of a tensor.
type Info struct {
	DType tensor.DType
	Shape []int
}

// rank orders networks of a file: averages before what nothing is said of,
// and that before weights which stand beside their averages.
type rank int

const (
	raw rank = iota - 1
	neutral
	averages
)

// rankOf tells averaged weights by the parts of their place, the innermost that says
// something first.
func rankOf(place string) rank {
	for _, part := range slices.Backward(strings.FieldsFunc(strings.ToLower(place), func(r rune) bool { return r == '.' || r == '/' })) {
		if strings.HasPrefix(part, "online") || part == "student" || part == "current_model_state" || strings.HasPrefix(part, "non_ema") {
			return raw
		}
		for _, word := range strings.FieldsFunc(part, func(r rune) bool { return r == '_' || r == '-' || r == ' ' || r >= '0' && r <= '9' }) {
			switch word {
			case "ema", "modelema", "emamodel", "swa", "averaged", "average", "avg", "shadow", "polyak":
				return averages
			}
		}
	}
	return neutral
}

// wrappers are parts of names that PyTorch's wrappers of modules put in: DataParallel, compile,
// DeepSpeed, FSDP and activation checkpointing.
var wrappers = []string{"module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}

// bare returns a name without the parts of wrappers, and with the dots of
// names that are written with slashes.
func bare(name string) string {
	if !strings.Contains(name, ".") {
		name = strings.ReplaceAll(name, "/", ".")
	}
	parts := strings.Split(name, ".")
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return slices.Contains(wrappers, part) }), ".")
}

// within returns the tensors whose names begin with place, which is a
// container of the file, such as "ema", or the beginning of names, such as "ema_model.".
// The names are what follows.
func (f *File) within(place string) ([]entry, error) {
	if place == "" {
		return f.entries, nil
	}
	for _, begin := range []string{strings.TrimSuffix(place, ".") + ".", place} {
		var found []entry
		for _, e := range f.entries {
			if rest, ok := strings.CutPrefix(e.name, begin); ok && rest != "" {
				found = append(found, entry{rest, e.source})
			}
		}
		if len(found) > 0 {
			return found, nil
		}
	}
	return nil, fmt.Errorf("no tensors in %q, only in %q", place, few(f.groups()))
}

// groups lists the first parts of all names.
func (f *File) groups() []string {
	var out []string
	for _, e := range f.entries {
		if first, _, _ := strings.Cut(e.name, "."); !slices.Contains(out, first) {
			out = append(out, first)
		}
		if len(out) > 20 {
			break
		}
	}
	return out
}

// State returns a state dictionary, whatever network it is of: what is in
// place, or, without one, the dictionary called state_dict, model_state_dict,
// model or net, averages of it first, else the only one that holds tensors and is not an
// optimiser's or a schedule's. The prefixes of wrappers are
// removed when all names have them. Tensors of types that cannot be held are left out.
func (f *File) State(place string) (*Part, error) {
	p := &Part{Place: place, file: f}
	var err error
	if place != "" {
		p.entries, err = f.within(place)
	} else {
		var n *node
		if n, p.Place, err = f.root.state("", 0); err == nil {
			p.entries, err = n.entries("")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	p.rank = rankOf(p.Place)
	p.Averaged = p.rank == averages
	p.KeepAll()
	for i, name := range unwrapped(p.used) {
		p.used[i].name = name
	}
	p.entries = p.used
	return p, nil
}

// unwrapped returns names without the prefixes that all of them have from wrappers.
func unwrapped(entries []entry) []string {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.name
	}
	for again := true; again; {
		again = false
		for _, w := range wrappers {
			if cut, ok := cutAll(names, w+"."); ok {
				names, again = cut, true
			}
		}
	}
	return names
}

// cutAll removes a prefix if all names have it and something after it.
func cutAll(names []string, prefix string) ([]string, bool) {
	out := make([]string, len(names))
	for i, name := range names {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok || rest == "" {
			return nil, false
		}
		out[i] = rest
	}
	return out, len(names) > 0
}

// Holding returns the parts of a file in which a tensor of one of the names is,
// in the file's order: all that has the same prefix, without the parts of wrappers, wherever
// they stand, and with weights in place of what weight and spectral norm store.
// A place, as for State, says where to look. Averages that are a list in the order of a part's
// tensors are a part too.
func (f *File) Holding(names []string, place string) ([]*Part, error) {
	all, err := f.within(place)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	all = folded(all)
	taken := map[string]bool{}
	plain := make([]entry, len(all))
	for i, e := range all {
		plain[i] = entry{bare(e.name), e.source}
		if taken[plain[i].name] {
			plain[i].name = e.name
		}
		taken[plain[i].name] = true
	}
	var parts []*Part
	for i, e := range plain {
		at := slices.IndexFunc(names, func(name string) bool { return e.name == name || strings.HasSuffix(e.name, "."+name) })
		if at < 0 {
			continue
		}
		name := names[at]
		prefix := strings.TrimSuffix(e.name, name)
		p := &Part{Place: prefix, file: f, rank: rankOf(strings.TrimSuffix(all[i].name, name))}
		if place != "" {
			p.Place = strings.TrimSuffix(place, ".") + "." + prefix
			p.rank = max(p.rank, rankOf(place))
		}
		for _, e := range plain {
			if rest, ok := strings.CutPrefix(e.name, prefix); ok {
				p.entries = append(p.entries, entry{rest, e.source})
				if rest == "n_averaged" { // torch.optim.swa_utils.AveragedModel counts there
					p.rank = averages
				}
			}
		}
		parts = append(parts, p)
	}
	if n := len(parts); n > 1 && f.root.list && place == "" {
		// Checkpoints that are a list, as NCSNv2's, end with the averages.
		parts[n-1].rank = averages
	}
	for _, p := range slices.Clone(parts) {
		if list := f.shadow(p); list != nil {
			parts = append(parts, list)
		}
	}
	return parts, nil
}

// shadow finds a list of tensors without names that averages p's, as
// torch-ema keeps them ("shadow_params").
func (f *File) shadow(p *Part) *Part {
	var found *Part
	var walk func(n *node, place string, depth int)
	walk = func(n *node, place string, depth int) {
		if depth > maxDepth || found != nil {
			return
		}
		for _, c := range n.children {
			at := place + c.key + "."
			if c.list && rankOf(at) == averages && len(c.children) == len(p.entries) {
				q := &Part{Place: at, file: f, rank: averages}
				for i, child := range c.children {
					if t := child.tensor; t != nil && slices.Equal(t.shape, p.entries[i].shape) {
						q.entries = append(q.entries, entry{p.entries[i].name, t})
					}
				}
				if len(q.entries) == len(p.entries) {
					found = q
				}
			}
			if c.tensor == nil && c.holds {
				walk(c, at, depth+1)
			}
		}
	}
	walk(f.root, "", 0)
	return found
}

// Best returns the part to take of several that fit: averages first, then
// what has a usual name. Several that are equal in this, and do not hold the same
// tensors, are an error that lists their places.
func Best(parts []*Part) (*Part, error) {
	if len(parts) == 0 {
		return nil, errors.New("no tensors")
	}
	top := slices.MaxFunc(parts, func(a, b *Part) int { return int(a.rank - b.rank) }).rank
	best := slices.DeleteFunc(slices.Clone(parts), func(p *Part) bool { return p.rank != top })
	if usual := slices.IndexFunc(best, func(p *Part) bool {
		return p.Place == "" || slices.Contains(wrapperKeys, strings.TrimSuffix(p.Place, "."))
	}); usual >= 0 {
		best = best[usual : usual+1]
	}
	var places []string
	for _, p := range best {
		if !slices.EqualFunc(p.entries, best[0].entries, func(a, b entry) bool { return a.id == b.id }) {
			places = append(places, strings.TrimSuffix(p.Place, "."))
		}
	}
	if len(places) > 0 {
		return nil, fmt.Errorf("%s: the file holds several networks that fit, %q; say which with --section or --prefix",
			best[0].file.path, few(append([]string{strings.TrimSuffix(best[0].Place, ".")}, places...)))
	}
	best[0].Averaged = top == averages
	return best[0], nil
}

// Shapes returns the types and shapes of the part's tensors. A type that cannot be held is
// the zero one.
func (p *Part) Shapes() map[string]Info {
	out := make(map[string]Info, len(p.entries))
	for _, e := range p.entries {
		out[e.name] = Info{e.dtype, e.shape}
	}
	return out
}

// Keep leaves the tensors of the given names in the part.
func (p *Part) Keep(names []string) {
	p.used = nil
	for _, name := range names {
		for _, e := range p.entries {
			if e.name == name {
				p.used = append(p.used, e)
				break
			}
		}
	}
}

// KeepAll leaves all tensors whose types can be held in the part.
func (p *Part) KeepAll() {
	p.used = slices.DeleteFunc(slices.Clone(p.entries), func(e entry) bool { return e.why != "" })
}

// Read reads the part's tensors. The metadata are the file's.
func (p *Part) Read() (*Set, error) {
	s := &Set{Metadata: p.file.Metadata}
	for _, e := range p.used {
		if e.why != "" {
			return nil, fmt.Errorf("%s: tensor %.80q: elements are %s, want real numbers of up to 64 bits", p.file.path, e.name, e.why)
		}
		t, err := e.read()
		if err != nil {
			return nil, fmt.Errorf("%s: tensor %.80q: %w", p.file.path, e.name, err)
		}
		if err := s.Add(e.name, t); err != nil {
			return nil, fmt.Errorf("%s: %w", p.file.path, err)
		}
	}
	if s.Len() == p.file.Len() {
		if err := s.unseal(); err != nil {
			return nil, fmt.Errorf("%s: %w", p.file.path, err)
		}
	}
	return s, nil
}

// Note says what was taken of a file and what was left, or nothing when all
// was taken, apart from tensors of the given names.
func (p *Part) Note(silent []string) string {
	taken := map[any]bool{}
	for _, e := range p.used {
		for _, id := range e.ids() {
			taken[id] = true
		}
	}
	counts := map[string]int{}
	var order []string
	for _, e := range p.file.entries {
		if taken[e.id] || slices.Contains(silent, bare(e.name)) {
			continue
		}
		place := p.beyond(e.name)
		if counts[place]++; counts[place] == 1 {
			order = append(order, place)
		}
	}
	if len(order) == 0 {
		return ""
	}
	for i, place := range order {
		if n := counts[place]; n > 1 {
			order[i] = fmt.Sprintf("%s (%d tensors)", place, n)
		}
	}
	if len(order) > 8 {
		order = append(order[:8], fmt.Sprintf("and %d more", len(order)-8))
	}
	what := "all that fits"
	if place := strings.TrimSuffix(p.Place, "."); place != "" {
		what = place
	}
	if p.Averaged {
		what += " (averaged weights)"
	}
	return fmt.Sprintf("%s: took %s; left %s", p.file.path, what, strings.Join(order, ", "))
}

// beyond returns the part of a name that shows where it leaves the place of p.
func (p *Part) beyond(name string) string {
	parts, mine := strings.Split(name, "."), strings.Split(p.Place, ".")
	n := 1
	for n < len(parts) && n <= len(mine) && slices.Equal(parts[:n], mine[:n]) {
		n++
	}
	return strings.Join(parts[:n], ".")
}
