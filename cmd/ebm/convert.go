package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"ebm"
	"ebm/models/weights"
)

func newConvert(a *app) *cobra.Command {
	var force, half, asJSON bool
	cmd := &cobra.Command{
		Use:   "convert IN OUT",
		Short: "Convert weights between .safetensors, .pt/.pth and .npz",
		Long: `convert reads named tensors from a safetensors, PyTorch (zip or legacy) or NumPy
file, whichever it is, and writes them in the format of OUT's ending. Nothing in
a file is ever executed. IN may also be a run, a checkpoint or a shipped model,
whose weights (averaged, if the run averages) go out with what is known of them.`,
		Example: "  ebm convert checkpoint.pth weights.safetensors\n  ebm convert runs/mnist mnist.safetensors --float16",
		Args:    exactArgs(2, "the file to read and the file to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, out := args[0], args[1]
			if _, err := os.Stat(out); err == nil && !force {
				return fmt.Errorf("%s exists: choose another name, or --force to replace it", out)
			}
			set, err := loadSet(in)
			if err != nil {
				return err
			}
			if half {
				if set, err = rounded(set); err != nil {
					return err
				}
			}
			if err := weights.Save(out, set); err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(map[string]any{"path": out, "tensors": set.Len(), "weights_sha256": set.Hash()})
			}
			a.printf("%s\t%d tensors\n", out, set.Len())
			return nil
		},
	}
	cmd.Flags().BoolVar(&half, "float16", false, "round floating-point tensors to float16, for half the size")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was written as JSON")
	cmd.Flags().BoolVar(&force, "force", false, "replace OUT if it exists")
	return cmd
}

// loadSet reads a file of weights as it is, or the weights of a run, a
// checkpoint or a shipped model.
func loadSet(ref string) (*weights.Set, error) {
	if isFile(ref) {
		return weights.Load(ref)
	}
	m, err := ebm.Load(ref)
	if err != nil {
		return nil, err
	}
	return m.Set(), nil
}

// rounded returns the set with its floating-point tensors in float16.
func rounded(set *weights.Set) (*weights.Set, error) {
	out := &weights.Set{Metadata: set.Metadata}
	for name, t := range set.All() {
		if t.DType().IsFloat() {
			t = t.AsFloat16()
		}
		if err := out.Add(name, t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// exactArgs asks for n arguments and says what they are.
func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%d arguments are given, want %d: %s", len(args), n, what)
		}
		return nil
	}
}
