// Package weights holds named tensors, the parameters of a network, and moves
// them between files: safetensors, PyTorch's formats (zip, the one before PyTorch 1.6,
// TorchScript, indices of shards, distributed checkpoints), pickles of tensors or NumPy arrays, and
// NumPy's .npz; out go safetensors, PyTorch's zip format, .npz and pickles. Names are kept as
// they are; a checkpoint's names are the graph's names.
//
// [Open] tells the format by the content of the file and reads names, types and shapes. A [Part] of
// the file is what belongs together: [File.State] finds the state dictionary, wherever it lies, and
// [File.Holding] the networks that have a tensor of a name, under any prefix; averaged
// weights come before those that they are averages of. [Load] reads the state dictionary.
//
// Files may come from anywhere. Nothing in them is executed: a pickle is read by an
// interpreter that builds dictionaries, tensors and arrays, and of every other class keeps the
// name and the attributes. Sizes are checked before
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
