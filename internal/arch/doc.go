// Package arch is a test: it holds the packages of this module to the layers
// that docs/architecture.md gives them, and to the few rules about what may be
// imported where. Test files are free to import anything.
package arch
