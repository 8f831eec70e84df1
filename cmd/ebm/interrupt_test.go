//go:build unix

package main

import (
	"bufio"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestSecondInterrupt interrupts work that does not look at its context.
func TestSecondInterrupt(t *testing.T) {
	const victim = "EBM_INTERRUPT_VICTIM"
	if os.Getenv(victim) != "" {
		ctx, _ := interruptible()
		os.Stdout.WriteString("working\n")
		<-ctx.Done()
		os.Stdout.WriteString("interrupted\n")
		select {}
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSecondInterrupt$")
	cmd.Env = append(os.Environ(), victim+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for _, want := range []string{"working", "interrupted"} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("it says %q, want %q", lines.Text(), want)
		}
		if want == "working" {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The handler is reset beside what hears the first one: until then, others are
	// ignored.
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case <-ended:
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Exited() && status.ExitStatus() == 0 {
				t.Errorf("it ended with %v, want an end by the signal", cmd.ProcessState)
			}
			return
		default:
			_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		}
	}
}
