package runtime

import (
	"fmt"
	goruntime "runtime"
)

// Machine says in a few words what the program runs on, such as
// "linux/amd64, 8 processors, go1.26.1".
func Machine() string {
	return fmt.Sprintf("%s/%s, %d processors, %s", goruntime.GOOS, goruntime.GOARCH, goruntime.NumCPU(), goruntime.Version())
}
