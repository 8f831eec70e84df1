// Package metrics keeps the numbers of a run: as JSON lines for programs and
// the report, and as event files for TensorBoard.
//
// metrics.jsonl holds one object a line, in the order of the steps:
//
//	{"step":320,"time":1767225600.125,"loss":43.1,"learning_rate":0.001}
//
// time is in seconds since 1970-01-01 UTC, to the millisecond. A value that
// is not finite, which JSON cannot hold, is null and reads back as NaN.
//
// tensorboard/ holds event files: records framed as TFRecord (length, its
// masked CRC-32C, data, its masked CRC-32C; all little-endian), each an Event
// message of TensorFlow's event.proto with scalars or an image.
//
// A run that resumes from step S drops what was written after S: the lines
// are cut off, and a new event file begins with a session start at S+1, at
// which TensorBoard hides the steps that will be repeated.
package metrics
