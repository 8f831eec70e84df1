// Command ebm trains energy-based models, exports them to ONNX with their
// gradients, and samples and checks them through ONNX Runtime.
//
// Numbers go to standard output, progress and logs to standard error. The
// exit status is 0 on success, 1 when something failed, 2 on wrong usage, and
// 130 when the program was interrupted.
package main

import (
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// usageError is an error in the way the program was called.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run is the program, for tests too.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{stdout: stdout, stderr: stderr}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	ran := false
	root.PersistentPreRun = func(*cobra.Command, []string) { ran = true }
	err := root.ExecuteContext(ctx)
	a.close()
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "ebm: interrupted")
		return 130
	}
	fmt.Fprintf(stderr, "ebm: %v\n", err)
	// What cobra itself refuses, before a command runs, is wrong usage too.
	if !ran || errors.As(err, new(usageError)) {
		fmt.Fprintln(stderr, "run 'ebm help' or 'ebm COMMAND --help' for usage")
		return 2
	}
	return 1
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "ebm",
		Short: "Energy-based models in Go, exported to ONNX with their gradients",
		Long: `ebm trains energy-based models by multiscale denoising score matching, exports
them to plain ONNX (energy, score, Hessian-vector product, the whole training
step, a Langevin sampler) and runs them through ONNX Runtime.

Begin with:  ebm demo`,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	a.addFlags(root.PersistentFlags())
	root.AddCommand(newDemo(a), newTrain(a), newExport(a), newSample(a), newDenoise(a), newVerify(a), newInspect(a), newRuntime(a), newConvert(a), newGradient(a), newEvaluate(a), newCompare(a), newClassifier(a), newInpaint(a), newLikelihood(a), newReproduce(a), newCompose(a), newModels(a), newBench(a), newVersion(a))
	return root
}
