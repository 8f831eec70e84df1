// Package weights holds named tensors, the parameters of a network, and moves
// them between files: safetensors in and out, PyTorch's .pt/.pth in (the zip
// format and the one before PyTorch 1.6) and out (zip), NumPy's .npz in and
// out. Names are kept as they are; a checkpoint's names are the graph's names.
//
// [Load] tells the format by the content of the file. Of a PyTorch checkpoint
// it takes the state dictionary, wherever it lies, and it removes the prefixes
// that PyTorch's wrappers put before every name.
//
// Files may come from anywhere. Nothing in them is executed: the pickle inside
// a PyTorch file is read by an interpreter that knows the few functions which
// rebuild tensors, and any other name is an error. Sizes are checked before
// they are believed, so memory is bounded by the file's real size, or by a
// multiple of it (8-fold in PyTorch's format, 64-fold in NumPy's, at least
// 256 MiB) where tensors are compressed or share storage. The number of values
// beside tensors is bounded too, and with it the time that a small file can take.
//
// The layout of a safetensors file is 8 bytes with the length n of the header
// (little-endian), n bytes of JSON and the elements, little-endian and
// row-major:
//
//	{"__metadata__": {"key": "value", …},
//	 "name": {"dtype": "F32", "shape": [16, 3, 3, 3], "data_offsets": [0, 1728]}, …}
//
// Files written here have one form: metadata by key, tensors by falling
// element size and then by name, and a header that is padded so that every
// tensor is aligned to its elements. Equal sets give equal bytes.
package weights
