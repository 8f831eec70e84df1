package main

import (
	"bytes"
	"context"
	"ebm/internal/testkit"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commands returns the project's own commands, groups of commands left out.
func commands() []*cobra.Command {
	root := newRoot(&app{stdout: io.Discard, stderr: io.Discard})
	return slices.DeleteFunc(allCommands(root), func(c *cobra.Command) bool { return c.HasSubCommands() })
}

func TestEveryCommandIsInAGroup(t *testing.T) {
	for _, c := range newRoot(&app{}).Commands() {
		if c.GroupID == "" {
			t.Errorf("%s is in no group of the list of commands", c.Name())
		}
	}
}

func TestHelpHasEveryFlagOnce(t *testing.T) {
	for _, c := range commands() {
		code, out, _ := ebmRun(t, append(strings.Fields(c.CommandPath())[1:], "--help")...)
		if code != 0 {
			t.Fatalf("%s --help: exit status %d", c.Name(), code)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden {
				return // what another is called now
			}
			n := 0
			for _, line := range strings.Split(out, "\n") {
				if strings.HasPrefix(line, "      --"+f.Name+" ") || strings.HasPrefix(line, "  -"+f.Shorthand+", --"+f.Name+" ") {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s --help has --%s %d times, want once", c.CommandPath(), f.Name, n)
			}
		})
	}
}

// The flags of evaluate that mean something for a run alone stand apart.
func TestFlagsStandUnderTheirTitles(t *testing.T) {
	_, out, _ := ebmRun(t, "evaluate", "--help")
	both, run, ok := strings.Cut(out, "Of a RUN alone:")
	if !ok || !strings.Contains(run, "--select-count") || strings.Contains(both, "--select-count") || !strings.Contains(both, "--reference ") {
		t.Errorf("help of evaluate does not tell the flags of a RUN apart:\n%s", out)
	}
}

func TestValuesComplete(t *testing.T) {
	t.Chdir(t.TempDir())
	testkit.Mkdir(t, "runs/mine")
	testkit.Write(t, "runs/mine/config.toml", nil)
	for _, c := range []struct{ line, want string }{
		{"sample --provider c", "cpu cuda"},
		{"sample --run ", "fashion16 mnist16 runs/mine"},
		{"sample --sampler ", "langevin ancestral ddim heun edm adaptive mala hmc tempering"},
		{"sample --schedule l", "lin"},
		{"train --preset mn", "mnist"},
		{"train --schedule c", "cosine constant"},
		{"train --data-name c", "cifar10 celeba"},
		{"export --kinds s", "score sampler"},
		{"export --kinds energy,s", "energy,score energy,sampler"},
		{"export --for h", "huggingface"},
		{"evaluate --metrics fid,k", "fid,kid"},
		{"evaluate --features cl", "classifier classifier:fashion-mnist classifier:mnist"},
		{"evaluate --parts n", "noise neighbours"},
		{"evaluate m", "mnist16"},
		{"likelihood --preset ", "cheap paper"},
		{"likelihood --toy gaussian,m", "gaussian,mixture"},
		{"inpaint --images svhn", "svhn:train svhn:test"},
		{"inpaint --mask c", "centre"},
		{"reproduce inp", "inpainting"},
		{"runtime i", "info install"},
		{"sam", "sample"},
	} {
		code, out, _ := ebmRun(t, append([]string{"__complete"}, strings.Split(c.line, " ")...)...)
		var got []string
		for _, line := range strings.Split(out, "\n") {
			if word, _, _ := strings.Cut(line, "\t"); word != "" && word[0] != ':' {
				got = append(got, word)
			}
		}
		if code != 0 || strings.Join(got, " ") != c.want {
			t.Errorf("ebm %s completes to %v (exit status %d), want %s", c.line, got, code, c.want)
		}
	}
}

func TestShellsGetAScript(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := mustRun(t, "completion", shell); !strings.Contains(out, "__complete") {
			t.Errorf("the script for %s asks ebm nothing:\n%s", shell, out)
		}
	}
}

func TestUnknownCommandsSuggest(t *testing.T) {
	for line, want := range map[string]string{
		"smaple": `ebm has no command "smaple", want sample`, "frobnicate": `ebm has no command "frobnicate", want one that 'ebm help' lists`,
		"runtime instal": `ebm runtime has no command "instal", want install`,
	} {
		var out, errs bytes.Buffer
		if code := run(context.Background(), strings.Fields(line), &out, &errs); code != 2 || !strings.Contains(errs.String(), want) {
			t.Errorf("ebm %s: exit status %d, %q, want 2 and %q", line, code, errs.String(), want)
		}
	}
}
