package weights

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"ebm/models/tensor"
)

// source is a tensor of a file that was not read yet.
type source struct {
	dtype tensor.DType
	shape []int
	why   string    // the type that cannot be held; "" when it can
	id    any       // equal for tensors of the same elements
	parts []*source // what it is computed from, when it is
	read  func() (*tensor.Tensor, error)
}

// node is a value of a file: a tensor, a container of values by key, or another
// thing in a few words.
type node struct {
	key      string
	tensor   *source
	children []*node
	list     bool   // the keys are numbers from 0
	holds    bool   // it is a tensor, or holds one at some depth
	about    string // for what is no tensor and no container
}

const (
	// maxDepth bounds how deep containers are entered.
	maxDepth = 32
	// maxNames bounds the bytes of all names together: nested containers repeat
	// the names of the outer ones.
	maxNames = 64 << 20
)

// tree turns a pickle's values into nodes. What appears twice becomes one node.
type tree struct {
	o     *objects
	known map[any]*node
	made  int
}

// newTree returns the root of a value.
func newTree(o *objects, value any) (*node, error) {
	t := tree{o: o, known: map[any]*node{}}
	root := t.node(value, 0)
	if t.made > maxValues {
		return nil, fmt.Errorf("more than %d values beside the tensors' elements", maxValues)
	}
	return root, nil
}

func (t *tree) node(value any, depth int) *node {
	if t.made++; t.made > maxValues || depth > maxDepth {
		return &node{about: kindOf(value)}
	}
	switch v := value.(type) {
	case *view:
		return &node{tensor: t.o.source(v), holds: true}
	case tuple:
		return t.items(&node{}, v, depth)
	case *array:
		if v.items == nil {
			return &node{tensor: v.source(), holds: true}
		}
		if len(v.items) == 1 { // what np.save makes of a dictionary
			return t.node(v.items[0], depth+1)
		}
	case *list, *dict, *object:
	default:
		return &node{about: brief(value)}
	}
	if n := t.known[value]; n != nil {
		return n
	}
	n := &node{about: kindOf(value)}
	t.known[value] = n // a value may hold itself
	switch v := value.(type) {
	case *array:
		t.items(n, v.items, depth)
	case *list:
		t.items(n, v.items, depth)
	case *dict:
		t.pairs(n, v, depth)
	case *object:
		t.object(n, v, depth)
	}
	return n
}

func (t *tree) add(n *node, key string, value any, depth int) {
	child := *t.node(value, depth+1)
	child.key = key
	n.children = append(n.children, &child)
	n.holds = n.holds || child.holds
}

func (t *tree) items(n *node, items []any, depth int) *node {
	n.list = true
	for i, item := range items {
		t.add(n, strconv.Itoa(i), item, depth)
	}
	return n
}

func (t *tree) pairs(n *node, d *dict, depth int) {
	for i, v := range d.values {
		switch k := d.keys[i].(type) {
		case string:
			t.add(n, k, v, depth)
		case int64:
			t.add(n, strconv.FormatInt(k, 10), v, depth)
		}
	}
}

// object enters a module (its parameters, buffers and modules, as its
// state_dict would name them) or any other object, by the names of its attributes.
func (t *tree) object(n *node, v *object, depth int) {
	state, ok := v.state.(*dict)
	if parts, isParts := v.state.(tuple); isParts && len(parts) == 2 { // attributes and slots
		if state, ok = parts[0].(*dict); !ok {
			state, ok = parts[1].(*dict)
		}
	}
	if modules, isModule := state.get("_modules").(*dict); ok && isModule {
		for _, key := range []string{"_parameters", "_buffers"} {
			if d, ok := state.get(key).(*dict); ok {
				t.pairs(n, d, depth)
			}
		}
		t.pairs(n, modules, depth)
		return
	}
	if ok {
		t.pairs(n, state, depth)
	}
	t.pairs(n, &v.dict, depth)
	for i, item := range v.items {
		t.add(n, strconv.Itoa(i), item, depth)
	}
}

// get returns the last value of a text key, nil when there is none.
func (d *dict) get(key string) any {
	if d == nil {
		return nil
	}
	for i, k := range slices.Backward(d.keys) {
		if k == key {
			return d.values[i]
		}
	}
	return nil
}

// child returns the last container of a key that holds tensors, or nil.
func (n *node) child(key string) *node {
	for _, c := range slices.Backward(n.children) {
		if c.key == key && c.tensor == nil && c.holds {
			return c
		}
	}
	return nil
}

// entry is a tensor under its name in the file.
type entry struct {
	name string
	*source
}

// ids are of the stored tensors behind an entry.
func (s *source) ids() []any {
	if s.parts == nil {
		return []any{s.id}
	}
	var ids []any
	for _, p := range s.parts {
		ids = append(ids, p.id)
	}
	return ids
}

// entries lists the tensors at and below a node in order, under their keys
// joined with dots.
func (n *node) entries(prefix string) ([]entry, error) {
	var list []entry
	bytes := 0
	var walk func(n *node, prefix string, depth int) error
	walk = func(n *node, prefix string, depth int) error {
		for _, c := range n.children {
			if !c.holds {
				continue
			}
			name := prefix + c.key
			if bytes += len(name) + 1; bytes > maxNames || depth > maxDepth {
				return fmt.Errorf("the tensors' names have more than %d bytes or %d parts", maxNames, maxDepth)
			}
			if c.tensor != nil {
				list = append(list, entry{name, c.tensor})
			} else if err := walk(c, name+".", depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return list, walk(n, prefix, 0)
}

// wrapperKeys are the names under which training programs keep the state
// dictionary of the model, beside its optimiser and counters.
var wrapperKeys = []string{"state_dict", "model_state_dict", "model", "net"}

// state descends to the dictionary that holds the model's tensors and returns
// its place too.
func (n *node) state(place string, depth int) (*node, string, error) {
	if depth > maxDepth {
		return nil, "", fmt.Errorf("dictionaries are nested more than %d deep", maxDepth)
	}
	down := func(c *node) (*node, string, error) { return c.state(place+c.key+".", depth+1) }
	var parts, averaged []*node
	var names []string
	direct := false
	for _, c := range n.children {
		switch {
		case c.tensor != nil:
			direct = true
		case c.holds && !c.trains():
			parts, names = append(parts, c), append(names, c.key)
			if rankOf(c.key) == averages {
				averaged = append(averaged, c)
			}
		}
	}
	if len(averaged) == 1 && !direct {
		return down(averaged[0])
	}
	for _, key := range wrapperKeys {
		if c := n.child(key); c != nil && len(averaged) == 0 {
			return down(c)
		}
	}
	switch {
	case direct:
		return n, place, nil
	case len(parts) == 0:
		return nil, "", fmt.Errorf("no tensors in the file")
	case len(parts) == 1:
		return down(parts[0])
	}
	return nil, "", fmt.Errorf("the file holds several dictionaries of tensors, %q; say which with --section", few(names))
}

// trains reports a container that keeps the state of what trains the model.
func (n *node) trains() bool {
	name := strings.ToLower(n.key)
	return strings.Contains(name, "optim") || strings.Contains(name, "sched") || n.has("param_groups") && n.has("state")
}

func (n *node) has(key string) bool {
	return slices.ContainsFunc(n.children, func(c *node) bool { return c.key == key })
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

// beside lists what a container holds that is no tensor and holds none.
func (n *node) beside() []string {
	var out []string
	for _, c := range n.children {
		if !c.holds {
			out = append(out, fmt.Sprintf("%.60s: %s", c.key, c.about))
		}
	}
	return few(out)
}

// brief describes a value of any size in a few words: nested values are not
// entered, since a small file can make them very large.
func brief(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%.40q", v)
	case bool, int64, float64:
		return fmt.Sprint(v)
	case *big.Int:
		return "a large number"
	case tuple:
		var items []string
		for i, item := range v {
			if _, nested := item.(tuple); nested || i == 8 {
				items = append(items, "…")
				break
			}
			items = append(items, brief(item))
		}
		return fmt.Sprint(items)
	}
	return kindOf(v)
}
