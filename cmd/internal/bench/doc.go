// Package bench times what the program does with a model: the score, a
// training step, sampling, and the features of pictures.
//
// A [Work] is one of these, loaded in the form that the program itself would
// use and warmed up; [Work.Run] does it once, and [Measure] several times. The
// fastest time is what the machine can do, the median what it does. With every
// time goes the number of floating-point operations that it took, counted from
// the graph by [graph.Graph.FLOPs]: as the function is written, which is what
// PyTorch computes too, and as export rewrites it, which is fewer, because
// pools are folded into the convolutions before them. The first divided by the
// time is comparable between programs, the second between machines, as a
// fraction of what their cores can do.
//
// The other side of a comparison is in the folder python: it alternates the
// two programs run by run. docs/performance.md has the method and the tables. The
// folder cuda has what measures on a machine with a device, and what stands in for
// one.
package bench
