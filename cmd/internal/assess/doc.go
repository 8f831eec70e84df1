// Package assess says how good a run is: it draws samples where there are none,
// measures them and the energy with packages sets and probe, finds the best
// checkpoint, and writes the report; and it puts runs beside each other.
//
//   - [Evaluate] measures a run, a shipped model or an ONNX file, in [Part]s.
//   - [Sets] compares two sets of pictures, features or statistics.
//   - [Demo] trains, exports, verifies, samples and measures once through.
//   - [Select] ranks the checkpoints of a run by the Fréchet distance of their
//     samples (appendix D of the paper).
//   - [Compare] makes a table over runs.
//
// The sections of a report (samples, numbers, modes, outliers, noise,
// neighbours, losses, conditions) are functions of what was measured, which the
// paper's experiments in package reproduce use too. Options are plain values:
// command ebm makes them of its flags. An option that cannot be is a
// [WrongOption].
package assess
