// Package watch shows the runs below a folder on a page, live, to readers on
// this machine.
//
// It is the one package that opens a listener. It answers GET and HEAD on a
// loopback address alone, refuses requests that name another host or come from
// another site (a page elsewhere must not read it through the reader's
// browser), writes nothing, and shows files of known names below the folder
// only. All text that comes from files is escaped, and pages load nothing from
// elsewhere.
package watch
