// Package parts is what the parts of a job leave in the folder that they share beside
// their results: parts.json, which says what job the folder is of ([Job]), and a file for
// each part in parts/, which says every few seconds how far it is ([Work]). [Read] puts
// these together, on any machine that sees the folder.
//
// Nothing of it decides what is computed: results are published under names of their own
// (package samples), and what is missing is found among them.
package parts
