package files

import (
	"bytes"
	"errors"
	"strings"
)

// StandIn returns an error that says what a file is that begins with start and was got in place of another: a page of
// a web site, or a pointer of Git LFS. For all others it is nil.
func StandIn(start []byte) error {
	switch text := strings.ToLower(string(bytes.TrimSpace(start))); {
	case strings.HasPrefix(text, "version https://git-lfs"):
		return errors.New("the file is a pointer of Git LFS, want the file that it stands for (git lfs pull)")
	case strings.HasPrefix(text, "<!doctype") || strings.HasPrefix(text, "<html"):
		return errors.New("the file is a page of a web site (HTML), want the file that the page links to")
	}
	return nil
}
