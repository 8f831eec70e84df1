//go:build crash || device

package main

import (
	"os"
	"testing"
)

// victim in the environment makes the test's own program ebm.
const victim = "EBM_CRASH_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(victim) != "" {
		main()
	}
	os.Exit(m.Run())
}
