// Command ebm trains energy-based models, exports them to ONNX with their
// gradients, and samples and checks them through ONNX Runtime.
//
// Numbers go to standard output, progress and logs to standard error. The
// exit status is 0 on success, 1 when something failed, 2 on wrong usage, and
// 130 when the program was interrupted.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := interruptible()
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// interruptible returns the context of the program, which SIGINT, SIGTERM and
// SIGHUP end, so that what can be kept is kept. A second SIGINT ends the program
// wherever it is.
func interruptible() (ctx context.Context, stop context.CancelFunc) {
	ctx, stop = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt) })
	return ctx, stop
}

// usageError is an error in the way the program was called.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// results is standard output. It remembers that a write failed: results that
// were not written are a failure.
type results struct {
	io.Writer
	err error
}

func (r *results) Write(b []byte) (int, error) {
	n, err := r.Writer.Write(b)
	r.err = cmp.Or(r.err, err)
	return n, err
}

// run is the program, for tests too.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	out := &results{Writer: stdout}
	a := &app{stdout: out, stderr: stderr}
	root := newRoot(a)
	root.SetArgs(args)
	ran := false
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		ran = true
		if a.provider == forPages && cmd.Name() == "install" {
			return nil
		}
		_, err := a.config()
		return err
	}
	err := root.ExecuteContext(ctx)
	a.endWork(err)
	a.printProfile()
	a.close()
	if err == nil {
		err = out.err
	}
	if a.world != nil {
		err = a.endRanks(err)
		defer a.abortRanks(err)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errSaid):
		return 1
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "ebm: interrupted")
		return 130
	}
	fmt.Fprintf(stderr, "ebm: %v\n", err)
	// What cobra itself refuses, before a command runs, is wrong usage too.
	if out.err == nil && !ran || wrongUsage(err) {
		fmt.Fprintln(stderr, "run 'ebm help' or 'ebm COMMAND --help' for usage")
		return 2
	}
	return 1
}

func newRoot(a *app) *cobra.Command {
	var asked bool // for the version
	root := &cobra.Command{
		Use:   "ebm",
		Short: "Energy-based models in Go, exported to ONNX with their gradients",
		Long: `ebm trains energy-based models by multiscale denoising score matching, exports
them to plain ONNX (energy, score, Hessian-vector product, the whole training
step, a Langevin sampler) and runs them through ONNX Runtime.

Begin with:  ebm demo`,
		SilenceErrors: true, SilenceUsage: true,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asked {
				return printVersion(cmd.Context(), a, false)
			}
			return cmd.Help()
		},
	}
	root.Flags().BoolVar(&asked, "version", false, "print the version, the commit and what it was built with")
	root.PersistentFlags().SortFlags = false
	a.addFlags(root.PersistentFlags())
	for _, g := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Begin", []*cobra.Command{newDemo(a), newModels(a)}},
		{"Train", []*cobra.Command{newTrain(a), newSweep(a), newFit(a), newTrainingStep(a), newClassifier(a)}},
		{"Use a model", []*cobra.Command{newSample(a), newMerge(a), newTuneSampler(a), newDenoise(a),
			newInpaint(a), newRestore(a), newCompose(a)}},
		{"Measure", []*cobra.Command{newEvaluate(a), newCompare(a), newScore(a), newWatch(a), newLikelihood(a), newReproduce(a), newBench(a)}},
		{"Files", []*cobra.Command{newExport(a), newConvert(a), newInspect(a), newGradient(a), newVerify(a)}},
		{program, []*cobra.Command{newRuntime(a), newVersion(a)}},
	} {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.title
			root.AddCommand(c)
		}
	}
	root.SetHelpCommandGroupID(program)
	root.SetCompletionCommandGroupID(program)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetUsageFunc(a.usage)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range allCommands(root) {
		c.Flags().SortFlags = false
	}
	complete(root)
	return root
}

// program is the title of the commands that are about the program itself.
const program = "The program"
