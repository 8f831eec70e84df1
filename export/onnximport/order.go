package onnximport

import (
	"fmt"
	"slices"

	"ebm/export/onnxpb"
)

// inOrder returns the indices of g's nodes so that each comes after those
// that compute its operands, and otherwise in the order of the file, which
// need not be such an order. Values that no node of g computes come from
// outside.
func inOrder(g *onnxpb.GraphProto) ([]int, error) {
	maker := make(map[string]int)
	for i, n := range g.Node {
		for _, name := range n.Output {
			if name != "" {
				maker[name] = i
			}
		}
	}
	const (
		unseen = iota
		open
		done
	)
	state := make([]byte, len(g.Node))
	order := make([]int, 0, len(g.Node))
	type visit struct {
		node int
		left []string // operands to look at
	}
	for first := range g.Node {
		if state[first] != unseen {
			continue
		}
		state[first] = open
		path := []visit{{first, namesUsed(g.Node[first])}}
		for len(path) > 0 {
			at := &path[len(path)-1]
			if len(at.left) == 0 {
				state[at.node] = done
				order = append(order, at.node)
				path = path[:len(path)-1]
				continue
			}
			name := at.left[0]
			at.left = at.left[1:]
			i, ok := maker[name]
			switch {
			case !ok || state[i] == done || name == "":
			case state[i] == open:
				return nil, fmt.Errorf("node %s needs its own result %q", describe(g.Node[at.node]), name)
			default:
				state[i] = open
				path = append(path, visit{i, namesUsed(g.Node[i])})
			}
		}
	}
	return order, nil
}

// namesUsed returns the values that a node takes, as operands or inside its
// subgraphs.
func namesUsed(n *onnxpb.NodeProto) []string {
	names := n.Input
	for _, a := range n.Attribute {
		if a.G == nil {
			continue
		}
		names = names[:len(names):len(names)]
		for _, inner := range a.G.Node {
			names = append(names, namesUsed(inner)...)
		}
		for _, out := range a.G.Output {
			names = append(names, out.GetName())
		}
	}
	return names
}

// neededFor returns which nodes of g compute something that one of the values
// depends on, and which names of any kind they depend on.
func neededFor(g *onnxpb.GraphProto, values []string) (nodes map[int]bool, names map[string]bool) {
	maker := make(map[string]int)
	for i, n := range g.Node {
		for _, name := range n.Output {
			maker[name] = i
		}
	}
	nodes, names = make(map[int]bool), make(map[string]bool)
	values = slices.Clone(values)
	for len(values) > 0 {
		name := values[len(values)-1]
		values = values[:len(values)-1]
		if names[name] || name == "" {
			continue
		}
		names[name] = true
		if i, ok := maker[name]; ok && !nodes[i] {
			nodes[i] = true
			values = append(values, namesUsed(g.Node[i])...)
		}
	}
	return nodes, names
}
