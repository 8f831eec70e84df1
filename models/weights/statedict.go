package weights

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// namedView is a tensor of a state dictionary that was not read yet.
type namedView struct {
	name string
	*torchTensor
}

// wrapperKeys are the names under which training programs keep the state
// dictionary of the model, beside its optimiser and counters.
var wrapperKeys = [...]string{"state_dict", "model_state_dict", "model", "net"}

// wrapperPrefixes are put before every name by DataParallel and by compile.
var wrapperPrefixes = [...]string{"module.", "_orig_mod."}

// maxDepth bounds how deep dictionaries may be nested.
const maxDepth = 32

// findTensors returns the tensors of a checkpoint's state dictionary. A
// section, such as "ema" or "trainer.model", names the dictionary; without
// one it is looked for. Values that are no tensors are left out; names inside
// nested dictionaries are joined with dots.
func findTensors(value any, section string) ([]namedView, error) {
	d, ok := value.(*dict)
	if !ok {
		return nil, fmt.Errorf("the file holds a %s, want a dictionary of tensors", kindOf(value))
	}
	var err error
	if section == "" {
		d, err = findState(d, 0)
	} else {
		d, err = findSection(d, section)
	}
	if err != nil {
		return nil, err
	}
	w := walk{seen: map[*dict]bool{}}
	if err := w.flatten(d, "", 0); err != nil {
		return nil, err
	}
	if len(w.views) == 0 {
		return nil, errors.New("no tensors in the file")
	}
	return w.views, nil
}

func findSection(d *dict, section string) (*dict, error) {
	for part := range strings.SplitSeq(section, ".") {
		next, ok := d.get(part).(*dict)
		if !ok {
			return nil, fmt.Errorf("no dictionary %q of section %q, only %q", part, section, few(d.names()))
		}
		d = next
	}
	return d, nil
}

// findState descends to the dictionary that holds the model's tensors.
func findState(d *dict, depth int) (*dict, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("dictionaries are nested more than %d deep", maxDepth)
	}
	for _, key := range wrapperKeys {
		if sub, ok := d.get(key).(*dict); ok && sub.holdsTensors(map[*dict]bool{}) {
			return findState(sub, depth+1)
		}
	}
	var parts []*dict
	var names []string
	for i, v := range d.values {
		switch v := v.(type) {
		case *torchTensor:
			return d, nil
		case *dict:
			if !besides(d.keys[i]) && v.holdsTensors(map[*dict]bool{}) {
				parts = append(parts, v)
				names = append(names, strings.Trim(brief(d.keys[i]), `"`))
			}
		}
	}
	switch len(parts) {
	case 0:
		return nil, errors.New("no tensors in the file")
	case 1:
		return findState(parts[0], depth+1)
	}
	return nil, fmt.Errorf("the file holds several dictionaries of tensors, %q, and none of them is called state_dict or model; save one alone", few(names))
}

// besides reports a key under which programs keep the state of what trains the
// model.
func besides(key any) bool {
	name, _ := key.(string)
	name = strings.ToLower(name)
	return strings.Contains(name, "optim") || strings.Contains(name, "sched")
}

// few returns the first names, shortened, for messages.
func few(names []string) []string {
	const most, long = 20, 80
	short := make([]string, min(len(names), most))
	for i := range short {
		short[i] = names[i]
		if len(short[i]) > long {
			short[i] = short[i][:long] + "…"
		}
	}
	if len(names) > most {
		short = append(short, "…")
	}
	return short
}

// get returns the last value of a text key, nil when there is none.
func (d *dict) get(key string) any {
	for i := len(d.keys) - 1; i >= 0; i-- {
		if d.keys[i] == key {
			return d.values[i]
		}
	}
	return nil
}

func (d *dict) names() []string {
	var names []string
	for _, key := range d.keys {
		if name, ok := key.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// holdsTensors reports whether there are tensors at any depth. A dictionary may
// hold itself, so those that were seen are not entered again.
func (d *dict) holdsTensors(seen map[*dict]bool) bool {
	if seen[d] || len(seen) > 1<<12 {
		return false
	}
	seen[d] = true
	for _, v := range d.values {
		switch v := v.(type) {
		case *torchTensor:
			return true
		case *dict:
			if v.holdsTensors(seen) {
				return true
			}
		}
	}
	return false
}

// walk gathers the tensors of nested dictionaries.
type walk struct {
	seen  map[*dict]bool
	views []namedView
	bytes int // of all names
}

// maxNames bounds the bytes of all names together: nested dictionaries repeat
// the names of the outer ones.
const maxNames = 64 << 20

func (w *walk) flatten(d *dict, prefix string, depth int) error {
	if w.seen[d] || depth > maxDepth {
		return fmt.Errorf("dictionary %.80q is nested too deep or appears twice", strings.TrimSuffix(prefix, "."))
	}
	w.seen[d] = true
	for i, v := range d.values {
		var key string
		switch k := d.keys[i].(type) {
		case string:
			key = k
		case int64:
			key = strconv.FormatInt(k, 10)
		default:
			continue
		}
		if w.bytes += len(prefix) + len(key); w.bytes > maxNames {
			return fmt.Errorf("the tensors' names have more than %d bytes", maxNames)
		}
		switch v := v.(type) {
		case *torchTensor:
			w.views = append(w.views, namedView{prefix + key, v})
		case *dict:
			if err := w.flatten(v, prefix+key+".", depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// Unwrapped returns the set without the prefixes that PyTorch's wrappers put
// before all its names, "module." and "_orig_mod.".
func (s *Set) Unwrapped() (*Set, error) {
	names := s.Names()
	for again := true; again; {
		again = false
		for _, prefix := range wrapperPrefixes {
			if cut, ok := cutAll(names, prefix); ok {
				names, again = cut, true
			}
		}
	}
	out := &Set{Metadata: s.Metadata}
	for i, name := range s.names {
		if err := out.Add(names[i], s.tensors[name]); err != nil {
			return nil, err
		}
	}
	return out, nil
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
