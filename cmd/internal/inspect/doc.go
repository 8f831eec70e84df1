// Package inspect says what a file or folder of the project is, in words and
// as data: ONNX models, files of weights, training runs and checkpoints.
//
// Files may come from anywhere. An ONNX model is walked through in place,
// without its weights, and only descriptions of bounded size are held in
// memory; damage is an error that names the file and the place.
package inspect
