package main

import (
	"bytes"

	"github.com/spf13/cobra"

	"ebm/cmd/internal/inspect"
)

func newInspect(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect FILE|REF",
		Short: "Say what an ONNX model, a file of weights, a run or a checkpoint is",
		Long: `inspect describes, in words or as JSON:

  an ONNX model      producer, opset, inputs and outputs, operators, weights,
                     metadata, and whether external data are there
  a file of weights  (.safetensors, .pt, .pth, .npz) every tensor with its
                     range, the number of parameters and the network they are of
  a run's folder     settings, steps made, last metrics, checkpoints
  a checkpoint       weights and the optimiser's state
  a shipped model    as a file of weights

Nothing in a file is executed or sent to ONNX Runtime.`,
		Example: `  ebm inspect runs/mnist
  ebm inspect runs/mnist/model/score.onnx
  ebm inspect weights.pth --json`,
		Args: exactArgs(1, "a file, a folder or the name of a shipped model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := inspect.Describe(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(d)
			}
			var b bytes.Buffer
			if err := d.WriteText(&b); err != nil {
				return err
			}
			a.printf("%s", b.String())
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}
