// Package runtime runs ONNX models through ONNX Runtime's shared library. It
// is the only package that knows ONNX Runtime: it takes the bytes of a model
// and tensors in, and gives tensors back.
//
// Open finds the library (Config.Library, the environment variable
// EBM_ORT_LIBRARY, beside the program, the user cache that Install fills, and
// at last the pinned Go module that carries one, which is fetched when it is
// not there), checks that it is a library for this machine and new enough, and
// chooses a provider: CUDA, WebGPU or the CPU. A Runtime loads models into sessions.
//
// A session runs in two ways. Run takes tensors by name and returns new ones.
// Bind fixes the tensors once, and the Binding then runs on their memory in
// place, which is how a training loop goes back and forth between two sets of
// buffers. Both check names, element types and shapes before ONNX Runtime sees
// them, so that a mistake is a *ValueError with the operands in it.
//
// Where a device computes, tensors that Hold keeps in its memory are what a binding
// reads and writes (BindHeld), and Traffic counts what crosses between it and the host.
// Several devices (Config.Devices) share runs and held tensors; Each has them one by one.
//
// A process has one ONNX Runtime: every Runtime in it shares the library that
// was opened first, until the last Runtime and the last Session are closed.
// Sessions may be used from several goroutines at once; a Binding owns its
// buffers and runs one at a time.
package runtime
