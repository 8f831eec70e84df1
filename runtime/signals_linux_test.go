//go:build linux && (amd64 || arm64)

package runtime

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// TestKeepSignalHandlers replaces a handler as CUDA's libraries do, and sends
// the signal afterwards: Go must get it.
func TestKeepSignalHandlers(t *testing.T) {
	const number = syscall.SIGUSR1
	got := make(chan os.Signal, 1)
	signal.Notify(got, number)
	defer signal.Stop(got)
	var before, during, after sigaction
	changeHandler(int(number), nil, &before)
	keepSignalHandlers(func() {
		ignore := sigaction{handler: 1} // SIG_IGN
		if !changeHandler(int(number), &ignore, nil) {
			t.Fatal("cannot set a handler")
		}
		changeHandler(int(number), nil, &during)
	})
	changeHandler(int(number), nil, &after)
	if during == before || after != before {
		t.Errorf("handler before %+v, during %+v, after %+v", before, during, after)
	}
	if err := syscall.Kill(os.Getpid(), number); err != nil {
		t.Fatal(err)
	}
	select {
	case <-got:
	case <-time.After(10 * time.Second):
		t.Error("the signal did not arrive")
	}
}
