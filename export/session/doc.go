// Package session loads graphs into ONNX Runtime in the form that is fastest
// there and then.
//
// Exported files are standard ONNX and run anywhere. A session that lives no
// longer than the process may use what ONNX Runtime has beside the standard:
// on the CPU its convolutions work on channels in blocks, as many as a vector
// register holds floats, and export.Options.Block lays out the whole graph for
// them, weights that are inputs included. How many those are, and whether the
// library at hand has these operators at all, is found out by trying.
//
// [Load] makes a session of a graph; [Rows] computes a function of many
// pictures in parts, a thread each; [Resident] is the state of chains that stays in a
// device's memory, and [Models] are the models that it goes through.
package session
