package testkit

import "testing"

// Long skips a test that takes more than about half a second under -short:
// what is run after each change stays quick.
func Long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("long")
	}
}
