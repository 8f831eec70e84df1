package main

import (
	"context"
	"fmt"
	goruntime "runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"ebm/runtime"
)

func newVersion(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version", Short: "Print the program's version, its commit and the ONNX Runtime that it finds", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return printVersion(cmd.Context(), a, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

// build is what the Go toolchain recorded of the program.
type build struct {
	Version     string `json:"version"`          // of a release, or "(devel)"
	Commit      string `json:"commit,omitempty"` // "" where it was not built in a repository
	Date        string `json:"commit_date,omitempty"`
	Modified    bool   `json:"modified,omitempty"` // files differed from the commit
	Go          string `json:"go"`
	Platform    string `json:"platform"`
	ONNXRuntime string `json:"onnx_runtime,omitempty"` // of the library that is found; "" before it is fetched
}

func thisBuild() build {
	b := build{Version: "(devel)", Go: goruntime.Version(), Platform: goruntime.GOOS + "/" + goruntime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	b.Version = release(info.Main.Version, b.Commit)
	return b
}

// release is the version of a release, or "(devel)": between releases the
// toolchain makes a version out of the commit.
func release(version, commit string) string {
	if version == "" || strings.HasSuffix(version, "+dirty") || len(commit) >= 12 && strings.Contains(version, commit[:12]) {
		return "(devel)"
	}
	return version
}

// printVersion prints the build with the ONNX Runtime that it finds; none is
// fetched for that.
func printVersion(ctx context.Context, a *app, asJSON bool) error {
	b := thisBuild()
	c, err := a.config()
	if err != nil {
		return err
	}
	if i, err := runtime.Locate(ctx, c); err == nil {
		b.ONNXRuntime = i.Version
	}
	return a.answer(asJSON, b, "%s\n", b)
}

func (b build) String() string {
	commit := "unknown"
	if b.Commit != "" {
		commit = b.Commit + " of " + b.Date
	}
	if b.Modified {
		commit += ", modified"
	}
	library := b.ONNXRuntime
	if library == "" {
		library = "not there yet: the first command that computes fetches it"
	}
	return fmt.Sprintf("ebm %s\ncommit        %s\nbuilt with    %s for %s\nONNX Runtime  %s", b.Version, commit, b.Go, b.Platform, library)
}

// version is the program's release, without a commit: it goes into files, which
// are the same whichever commit wrote them.
func version() string { return thisBuild().Version }
