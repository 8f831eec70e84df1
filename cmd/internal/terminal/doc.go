// Package terminal tells a person how far a long job is: a line for each
// stage that is redrawn in place in a terminal,
//
//	train  [=========>---------]  320/1500  12.3 it/s  1m36s left  loss 43.1
//
// and plain lines where the output is a pipe or a file, at intervals that
// grow with the length of the stage. Rate and time left are those of the last
// half minute; a stage that has ended shows its whole time and mean rate.
//
// Between two redraws the cursor rests on an empty line below the bars and no
// mode of the terminal is ever changed, so a program that is interrupted or
// killed leaves the terminal usable.
package terminal
