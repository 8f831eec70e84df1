package main

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"ebm/export/onnximport"
	"ebm/internal/atomicfile"
	"ebm/internal/files"
	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/models/tensor"
	"ebm/models/weights"
)

func newConvert(a *app) *cobra.Command {
	var force, half, asJSON bool
	var place placeFlags
	var adapter string
	cmd := &cobra.Command{
		Use:   "convert IN OUT",
		Short: "Convert weights between .safetensors, PyTorch's formats, .npz and .pkl",
		Long: `convert reads named tensors from a safetensors, PyTorch (zip, legacy, sharded,
distributed) or NumPy file or a pickle, whichever it is, and writes them in the format of
OUT's ending: .safetensors, .pt, .pth, .bin, .ckpt, .npz or .pkl (NumPy arrays by name).
Nothing in a file is ever executed. Of several networks in a file it takes averaged weights,
or those that --section and --prefix name, and says what it left. IN may also be a run, a
checkpoint or a shipped model, whose weights (averaged, if the run averages) go out with
what is known of them.

With --adapter, IN and OUT are ONNX files: OUT is IN with the low-rank changes of a
folder added to its weights, which ebm fit --lora or peft has written.`,
		Example: "  ebm convert checkpoint.pth weights.safetensors\n  ebm convert runs/mnist mnist.safetensors --float16\n" +
			"  ebm convert vit.onnx merged.onnx --adapter runs/lora/adapter",
		Args: exactArgs(2, "the file to read and the file to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, out := args[0], args[1]
			if _, err := os.Stat(out); err == nil && !force {
				return fmt.Errorf("%s exists: choose another name, or --force to replace it", out)
			}
			if adapter != "" {
				return mergeAdapter(a, in, out, adapter, half, asJSON)
			}
			set, err := loadSet(a, place.in(in))
			if err != nil {
				return err
			}
			if half {
				if set, err = rounded(a, set); err != nil {
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
	place.add(cmd.Flags())
	cmd.Flags().BoolVar(&half, "float16", false, "round floating-point tensors to float16, for half the size")
	cmd.Flags().StringVar(&adapter, "adapter", "", "a folder with a LoRA to merge into the ONNX file IN")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was written as JSON")
	cmd.Flags().BoolVar(&force, "force", false, "replace OUT if it exists")
	return cmd
}

// mergeAdapter writes an ONNX file with the changes of an adapter's folder.
func mergeAdapter(a *app, in, out, adapter string, half, asJSON bool) error {
	if half {
		return usagef("--float16 with --adapter, want one of them: an ONNX file keeps its types")
	}
	values, err := train.MergeAdapter(in, adapter)
	if err != nil {
		return err
	}
	model, err := files.ReadFile(in)
	if err != nil {
		return err
	}
	merged, err := onnximport.Patch(model, filepath.Dir(in), values)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	if err := atomicfile.WriteFile(out, merged); err != nil {
		return err
	}
	return a.answer(asJSON, map[string]any{"path": out, "changed": slices.Sorted(maps.Keys(values))},
		"%s\t%d weights changed\n", out, len(values))
}

// loadSet reads the tensors of a file of weights, those of a network if there is one, or the
// weights of a run, a checkpoint or a shipped model.
func loadSet(a *app, ref string) (*weights.Set, error) {
	path, place := weights.SplitRef(ref)
	if !isFile(path) && !weights.IsFolder(path) {
		m, err := a.load(ref)
		if err != nil {
			return nil, err
		}
		return m.Set(), nil
	}
	f, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var part *weights.Part
	if found, err := energy.Find(f, place, ""); err == nil {
		part = found.Part
		part.KeepAll()
	} else if part, err = f.State(place); err != nil {
		return nil, err
	}
	if note := part.Note(nil); note != "" {
		a.log(note)
	}
	return part.Read()
}

// rounded returns the set with its floating-point tensors in float16, and
// warns of values that float16 cannot hold.
func rounded(a *app, set *weights.Set) (*weights.Set, error) {
	out := &weights.Set{Metadata: set.Metadata}
	for name, t := range set.All() {
		if t.DType().IsFloat() {
			before := notFinite(t)
			t = t.AsFloat16()
			if n := notFinite(t) - before; n > 0 {
				a.log(fmt.Sprintf("%s: %d of %d values are beyond 65504, the largest of float16, and became infinite", name, n, t.Len()))
			}
		}
		if err := out.Add(name, t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// notFinite counts the values of a tensor that are infinite or not a number.
func notFinite(t *tensor.Tensor) int {
	n := 0
	for _, v := range t.Float64s() {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			n++
		}
	}
	return n
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
