// Package verify makes certificates: numbers that say how far an exported
// energy is from the truth.
//
// [Score] exports the score of a network with weights as a float32 ONNX file,
// runs it in ONNX Runtime on noisy pictures, and compares
//
//	energy and score   in ONNX Runtime, float32   with the interpreter, float64
//	score              of the interpreter         with differences of the energy, float64
//	loss and gradient  of the exported training   with the interpreter, float64
//	                   step, float32
//	loss gradient      of the interpreter         with differences of the loss, float64
//
// and, where asked for,
//
//	energy and score   in both                    with golden tensors of another
//	loss and gradient                             program, see [ReadReference]
//	energy and score   in ONNX Runtime            with the ONNX runtimes of a Python
//
// [Model] does the same for an ONNX file alone, as far as the file goes.
//
// The interpreter is models/interp and the differences are central, over
// four points: models/gradcheck. What is certified is therefore a chain: the
// energy as a formula, its derivative by models/autodiff, the lowering by
// export, and the arithmetic of the runtime.
//
// Pictures are x = u + σ·n with u uniform in [0, 1), or the caller's pictures,
// n standard normal and one noise level σ for each picture. Errors are stated
// by noise level as the largest and the mean |difference|, in the units of the
// tensor, and as the largest one over the largest magnitude of the reference,
// which is what a tolerance is for. The training step runs on two of the
// pictures, or on those of a reference.
//
// A [Certificate] is a list of checks of whatever was compared with whatever,
// and can be written as JSON and as a table. It names versions, and the hashes
// of the files it rests on. The inputs come from the seed, so a certificate can
// be made again.
package verify
