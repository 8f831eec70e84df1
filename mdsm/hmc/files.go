package hmc

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"ebm/export"
	"ebm/export/session"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
)

// Files are the ONNX files that transitions run through, as bytes.
type Files struct {
	State      []byte // of mdsm.StateGraph
	Trajectory []byte // of mdsm.TrajectoryGraph, with the same reference
	// Fixed makes that of the trajectory, "trajectory". Chains then stay in the memory of the
	// device, where one computes; nil for a trajectory that passes through the host.
	Fixed session.Fixed
}

// NewFiles exports transitions of so many leapfrog steps of a network. r is the
// reference of annealed importance sampling; chains whose potential has none of
// it may take any.
func NewFiles(n energy.Network, w energy.Weights, r mdsm.Reference, leapfrog int) (f Files, err error) {
	state, err := mdsm.StateGraph(n, w, r)
	if err != nil {
		return f, err
	}
	trajectory, err := mdsm.TrajectoryGraph(n, w, r, leapfrog)
	if err != nil {
		return f, err
	}
	f.Fixed = session.FixedOf(momentumInput(), map[string]func() *graph.Graph{"trajectory": func() *graph.Graph { return trajectory }})
	if f.State, err = export.Bytes(state, export.Options{}); err != nil {
		return f, err
	}
	f.Trajectory, err = export.Bytes(trajectory, export.Options{})
	return f, err
}

// momentumInput is where the model of the trajectory takes its momenta.
func momentumInput() export.Counted { return export.Counted{Input: "momentum", Single: true} }

// Hash returns the SHA-256 of the files, in hexadecimal.
func (f Files) Hash() string {
	h := sha256.New()
	for _, file := range [][]byte{f.State, f.Trajectory} {
		fmt.Fprintf(h, "%d\n", len(file))
		h.Write(file)
	}
	return hex.EncodeToString(h.Sum(nil))
}
