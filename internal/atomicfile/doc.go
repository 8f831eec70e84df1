// Package atomicfile makes files and folders that are either whole or absent,
// also when the process is killed or the machine stops. What is written goes
// to a temporary name in the same folder, is synced to the disk, takes the
// final name in one rename, and then the folder itself is synced.
//
// For a final name N the temporary names are
//
//	.N.<random>.partial~     being written
//	.N.<random>.replaced~    a folder that made room for its successor
//	.N.<random>.removed~     being removed
//
// and nothing else in the project ends so. A crash leaves such names behind;
// they are harmless. Whoever writes N again removes those of N, and [Clean]
// those of a folder. What is being written is locked by its writer, so that
// neither takes it for a leftover. On Linux a folder is replaced by
// one exchange of names. Elsewhere, or on file systems without it, two renames
// are needed: a crash between them leaves only the replaced folder, which
// Clean puts back.
//
// A final name that is a symbolic link is replaced itself, not what it points
// to.
package atomicfile
