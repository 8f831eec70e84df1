// Package npz reads and writes NumPy's array files: .npy, which holds one
// array, and .npz, a zip archive of them, after NumPy's format description
// (NEP 1; versions 1.0, 2.0 and 3.0).
//
// A .npy file is the six bytes "\x93NUMPY", two bytes of version, the length
// of the header (16 bits in version 1.0, 32 later), the header, which is a
// Python dictionary such as
//
//	{'descr': '<f4', 'fortran_order': False, 'shape': (3, 32, 32), }
//
// padded with spaces to a multiple of 64 bytes, and the elements. Understood
// are bool, int8 to int64, uint8 and float16 to float64 in little-endian byte
// order; anything else is an error that names the type. Arrays in Fortran
// order become row-major ones.
//
// Whole arrays go through [ReadNpyFile], [WriteNpy], [Open] and [Write]. Arrays
// that are larger than memory are written row by row with [RowWriter], which
// enters the number of rows at the end, joined with [JoinRows] and read with
// [RowReader].
//
// Files may come from anywhere: sizes are checked before they are believed, and the
// memory used is bounded by what a file really holds. A compressed archive may expand
// to 256 MiB or 64 times its size, whichever is more.
//
// [ReadElements] and [WriteElements] are for other formats that hold
// little-endian elements.
package npz
