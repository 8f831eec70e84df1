package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// titleOf is the annotation of a flag with the title of its group in help.
const titleOf = "title"

// group defines flags that stand under a title of their own in the help of
// their command.
func group(fs *pflag.FlagSet, title string, add func(*pflag.FlagSet)) {
	part := pflag.NewFlagSet(title, pflag.ContinueOnError)
	part.SortFlags = false
	add(part)
	part.VisitAll(func(f *pflag.Flag) {
		if f.Annotations == nil {
			f.Annotations = make(map[string][]string)
		}
		if _, inner := f.Annotations[titleOf]; !inner {
			f.Annotations[titleOf] = []string{title}
		}
		fs.AddFlag(f)
	})
}

// usage prints how a command is called: its examples, its commands and its
// flags, in their groups and in the order in which they were defined.
func (a *app) usage(cmd *cobra.Command) error {
	cmd.InitDefaultHelpFlag()
	var b strings.Builder
	fmt.Fprintf(&b, "Usage:\n  %s\n", cmd.UseLine())
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "  %s COMMAND --help\n", cmd.CommandPath())
	}
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	for _, g := range append([]*cobra.Group{{Title: "Commands"}}, cmd.Groups()...) {
		title := "\n" + g.Title + ":\n"
		for _, c := range cmd.Commands() {
			if c.GroupID == g.ID && c.IsAvailableCommand() {
				fmt.Fprintf(&b, "%s  %-*s  %s\n", title, cmd.NamePadding(), c.Name(), c.Short)
				title = ""
			}
		}
	}
	var titles []string
	parts := make(map[string]*pflag.FlagSet)
	add := func(title string, f *pflag.Flag) {
		if parts[title] == nil {
			titles = append(titles, title)
			parts[title] = pflag.NewFlagSet(title, pflag.ContinueOnError)
			parts[title].SortFlags = false
		}
		shown := *f
		if f.Value.Type() == "bool" {
			shown.Value = toggled{f.Value}
		}
		parts[title].AddFlag(&shown)
	}
	common := cmd.Root().PersistentFlags()
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		switch title := f.Annotations[titleOf]; {
		case f.Name == "help" || common.Lookup(f.Name) != nil:
		case title != nil:
			add(title[0], f)
		default:
			add("Flags", f)
		}
	})
	common.VisitAll(func(f *pflag.Flag) { add("Flags of every command", f) })
	add("Flags of every command", cmd.Flags().Lookup("help"))
	for _, title := range titles {
		fmt.Fprintf(&b, "\n%s:\n%s", title, parts[title].FlagUsagesWrapped(a.columns()))
	}
	_, err := io.WriteString(cmd.OutOrStderr(), b.String())
	return err
}

// toggled is the value of a flag that stands alone, so that help does not say
// [=true|false] of each.
type toggled struct{ pflag.Value }

// columns returns the width of help: that of the terminal, and at most 100.
func (a *app) columns() int {
	if f, ok := screen(a.stdout); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 40 {
			return min(width, 100)
		}
	}
	return 100
}

// knownCommand refuses the name of a command that is not there, with those
// that are spelled alike.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	want := cmd.SuggestionsFor(args[0])
	if len(want) == 0 {
		return usagef("%s has no command %q, want one that '%s help' lists", cmd.CommandPath(), args[0], cmd.Root().Name())
	}
	return usagef("%s has no command %q, want %s", cmd.CommandPath(), args[0], strings.Join(want, " or "))
}
