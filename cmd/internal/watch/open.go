package watch

import (
	"fmt"
	"os/exec"
	goruntime "runtime"
)

// Browse opens a page in the reader's browser, by the program that the system has
// for it.
func Browse(url string) error {
	name, args := "xdg-open", []string{url}
	switch goruntime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", url}
	}
	// The browser stays when this program ends, so no context stops it.
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("open %s in a browser: %w", url, err)
	}
	go func() { _ = cmd.Wait() }() // how it ends is between it and the reader
	return nil
}
