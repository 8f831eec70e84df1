package metrics

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// lines is the open metrics.jsonl of a run.
type lines struct {
	file *os.File
	last int64 // step of the last line, 0 when there is none
	buf  []byte
}

// openLines opens or makes the file at path and cuts off everything after
// the last line of a step ≤ after.
func openLines(path string, after int64) (*lines, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	l := &lines{file: f}
	if err := l.cut(after); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return l, nil
}

// cut keeps the lines up to the first that is later than the given step,
// incomplete or damaged. What a machine lost when it went down are the last
// lines, written after the last sync; so a line that is damaged while a good
// one of a step to be kept follows was damaged by something else, and that
// is an error rather than a loss of data.
func (l *lines) cut(after int64) error {
	var keep, offset int64
	var damaged error
	br := bufio.NewReader(l.file)
	for number, ended := 1, false; ; number++ {
		line, err := br.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		offset += int64(len(line))
		r, err := parseLine(bytes.TrimSuffix(line, []byte("\n")))
		switch {
		case err != nil:
			if damaged == nil && !ended {
				damaged = fmt.Errorf("line %d is damaged: %w", number, err)
			}
			ended = true
		case r.Step > after:
			ended = true
		case damaged != nil:
			return fmt.Errorf("%w, and line %d after it has step %d, which is to be kept", damaged, number, r.Step)
		case !ended:
			keep, l.last = offset, r.Step
		}
	}
	if err := l.file.Truncate(keep); err != nil {
		return err
	}
	_, err := l.file.Seek(keep, io.SeekStart)
	return err
}

// add writes r with a single call, so that a killed process leaves whole
// lines behind.
func (l *lines) add(r Record) error {
	if r.Step < l.last {
		return fmt.Errorf("%s: step %d comes after step %d", l.file.Name(), r.Step, l.last)
	}
	b, err := r.appendLine(l.buf[:0])
	if err != nil {
		return fmt.Errorf("%s: %w", l.file.Name(), err)
	}
	l.buf = b
	if _, err := l.file.Write(b); err != nil {
		return err
	}
	l.last = r.Step
	return nil
}
