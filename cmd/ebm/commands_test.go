package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/commands.md anew")

// TestCommandsDocument holds docs/commands.md to the commands.
func TestCommandsDocument(t *testing.T) {
	const path = "../../docs/commands.md"
	var b bytes.Buffer
	b.WriteString("# Commands\n\nWhat `ebm COMMAND --help` says of each command. This page is written by\n`go test ./cmd/ebm -run " +
		"CommandsDocument -update`.\n")
	a := &app{stdout: io.Discard, stderr: io.Discard}
	root := newRoot(a)
	for _, g := range root.Groups() {
		fmt.Fprintf(&b, "\n%s:\n\n", g.Title)
		for _, c := range root.Commands() {
			if c.GroupID == g.ID {
				fmt.Fprintf(&b, "- [%s](#%s): %s\n", c.Name(), strings.ReplaceAll(c.CommandPath(), " ", "-"), c.Short)
			}
		}
	}
	for _, c := range allCommands(root) {
		var help bytes.Buffer
		c.SetOut(&help)
		if err := c.Help(); err != nil {
			t.Fatal(err)
		}
		text := help.String()
		if c != root { // the root's own help has the common flags
			text, _, _ = strings.Cut(text, "\nFlags of every command:")
		}
		fmt.Fprintf(&b, "\n## %s\n\n```\n%s\n```\n", c.CommandPath(), strings.TrimSpace(text))
	}
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if had, err := os.ReadFile(path); err != nil || !bytes.Equal(had, b.Bytes()) {
		t.Errorf("docs/commands.md (%v) is not what the commands say: go test ./cmd/ebm -run CommandsDocument -update", err)
	}
}
