package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm"
	"ebm/cmd/internal/assess"
	"ebm/models/energy"
	"ebm/models/weights"
)

// modelFlags say which model a command works with.
type modelFlags struct {
	run, weights string
	net          energy.Plan
	act, head    string
	finite       bool // weights that are not finite are refused
	any          bool // energies of any origin are taken, not the project's networks alone
	checkpointFlags
	foreignFlags
}

func (f *modelFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.run, "run", "", "the model: a run's folder, one of its checkpoints, a file of weights, or a shipped model")
	f.checkpointFlags.add(fs)
	fs.StringVar(&f.weights, "weights", "", "the model: a file of weights (.safetensors, .pt, .pth, .npz, … or a hub's folder)")
	group(fs, "With --weights", f.addNetwork)
	group(fs, ofForeign, f.addValues)
}

func (f *modelFlags) addNetwork(fs *pflag.FlagSet) {
	fs.StringVar(&f.net.Net, "net", "", "the network: res6, res12, res18, res34 or unet (default: recognised)")
	fs.IntVar(&f.net.Dim, "dim", 0, "channels after the first convolution (default: recognised)")
	fs.IntVar(&f.net.Channels, "channels", 0, "channels of the pictures (default: recognised)")
	fs.Var(sizeValue{f}, "size", "height and width of the pictures in pixels (default: recognised; of a residual head what the file says); "+
		"of an ONNX file of another program a symbolic size, such as T=64, several times if need be")
	fs.StringVar(&f.act, "activation", "", "elu, relu, softplus, swish or tanh (default elu, or what the file says)")
	fs.StringVar(&f.head, "head", "", "the network's head: quadratic, linear or residual (default: recognised)")
}

// sizeValue is the flag --size: a number of pixels, or the size of a symbol.
type sizeValue struct{ f *modelFlags }

func (v sizeValue) Set(text string) (err error) {
	if strings.Contains(text, "=") {
		v.f.sizes = append(v.f.sizes, strings.Split(text, ",")...)
		return nil
	}
	v.f.net.Size, err = strconv.Atoi(text)
	return err
}

func (v sizeValue) String() string {
	if v.f == nil || v.f.net.Size == 0 {
		return ""
	}
	return strconv.Itoa(v.f.net.Size)
}

func (v sizeValue) Type() string { return "size" }

// checkFinite refuses weights that no network can compute with.
func checkFinite(m *ebm.Model) error {
	for _, p := range m.Network.Parameters() {
		if n := notFinite(m.Weights[p.Name]); n > 0 {
			return fmt.Errorf("%s: %d of %d values of %s are infinite or not a number, want finite weights (--allow-not-finite exports them)",
				m.Name, n, m.Weights[p.Name].Len(), p.Name)
		}
	}
	return nil
}

// load finds the model. What flags say of the network must agree with what is
// recognised, except for the activation, which cannot be seen.
func (f *modelFlags) load(a *app) (*ebm.Model, error) {
	var ref string
	switch {
	case f.run != "" && f.weights != "":
		return nil, usagef("--run and --weights exclude each other")
	case f.weights != "":
		if ref = f.weights; !isFile(ref) && !weights.IsFolder(ref) {
			return nil, fmt.Errorf("%s: no such file of weights", ref)
		}
	case f.run == "":
		return nil, usagef("want --run REF or --weights FILE")
	default:
		var err error
		if ref, err = assess.CheckpointOf(f.run, f.checkpoint); err != nil {
			return nil, err
		}
	}
	if f.act != "" || f.head != "" { // a wrong name is wrong usage, before any file is read
		named := energy.UNet{Channels: 1, Dim: 1, Size: 8, Activation: energy.Activation(f.act), Head: energy.Head(f.head)}
		if err := named.Validate(); err != nil {
			return nil, usageError{err}
		}
	}
	onnx, err := f.onnx()
	if err != nil {
		return nil, err
	}
	m, err := ebm.LoadWith(f.in(ref), ebm.LoadOptions{
		Activation: energy.Activation(f.act), Head: energy.Head(f.head), Size: f.net.Size, Log: a.log, ONNX: onnx,
	})
	if err != nil || onnx != nil {
		return m, err
	}
	net, err := m.Picture()
	said := f.net.Net != "" || f.net.Dim != 0 || f.net.Channels != 0 || f.net.Size != 0 || f.act != "" || f.head != ""
	switch {
	case err != nil && (f.any || len(m.Network.Parameters()) > 0) && !said:
		return m, nil
	case err != nil:
		return nil, err
	}
	n := net.Plan()
	var differ []string
	check := func(flag string, said, found any, given bool) {
		if given && said != found {
			differ = append(differ, fmt.Sprintf("--%s %v, but the weights are of %v", flag, said, found))
		}
	}
	check("net", f.net.Net, n.Net, f.net.Net != "")
	check("dim", f.net.Dim, n.Dim, f.net.Dim != 0)
	check("channels", f.net.Channels, n.Channels, f.net.Channels != 0)
	check("size", f.net.Size, n.Size, f.net.Size != 0)
	if len(differ) > 0 {
		return nil, usagef("%s: %s", ref, strings.Join(differ, "; "))
	}
	if f.finite {
		return m, checkFinite(m)
	}
	return m, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

func newExport(a *app) *cobra.Command {
	var (
		model     modelFlags
		out       string
		kinds     []string
		batch     int
		asked     bool
		other     otherFlags
		notFinite bool
	)
	cmd := &cobra.Command{
		Use:   "export (--run REF | --weights FILE) --out DIR",
		Short: "Write a model as ONNX: energy, score, Hessian product, training step, sampler",
		Long: `export writes KIND.onnx files of plain standard ONNX (opset 17) to a folder:

  energy   x → energy
  score    x → energy, score (−∇E)
  hvp      x, v → hvp (∇²E·v)
  train    x, noise, sigma, learning_rate, step, every P, P.m, P.v
           → loss, grad_norm, every P.next, P.m.next, P.v.next
  sampler  x, step_size, noise [K N …], temperature [K] → x_next, energy [K N]
  denoise  x → energy, denoised (x − σ₀² ∇E)

The batch N and the number of steps K are dynamic. With --fast or a --sampler of few
evaluations the sampler is a whole chain, x, noise [K N …] → x_next, energy [K N],
whose K steps end with the denoising jump; its metadata say what x begins as.
With --draw-noise it takes samples [N], the index of each sample, and steps [K], that
of each step, in place of noise (samples alone for a whole chain).

With --for it writes what another program wants:

` + targetHelp(),
		Example: `  ebm export --run mnist16 --out onnx --kinds energy,score
  ebm export --run mnist16 --out web --for web`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usagef("want --out DIR")
			}
			model.finite = !notFinite
			if batch < 0 {
				return usagef("--batch %d, want a positive number, or 0 for any", batch)
			}
			if err := other.check(cmd.Flags()); err != nil {
				return err
			}
			if other.target != "" {
				if !cmd.Flags().Changed("kinds") {
					kinds = nil
				}
				return exportFor(cmd.Context(), a, model, other, out, kinds, batch, asked)
			}
			var list []ebm.Kind
			for _, name := range kinds {
				k, err := ebm.ParseKind(name)
				if err != nil {
					return usageError{err}
				}
				list = append(list, k)
			}
			m, err := model.load(a)
			if err != nil {
				return err
			}
			if m.Sampler, err = other.few(m); err != nil {
				return err
			}
			if other.draw {
				if !slices.Contains(list, ebm.SamplerKind) {
					return usagef("--draw-noise is for the kind sampler, want it among --kinds %s", strings.Join(kinds, ","))
				}
				seed := uint64(other.seed)
				m.NoiseSeed = &seed
			}
			return exportKinds(a, m, out, list, batch, asked)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "folder of the files, made if it is not there")
	cmd.Flags().StringSliceVar(&kinds, "kinds", []string{"energy", "score", "hvp", "train", "sampler"},
		"which files to write (with --for, its own choice by default)")
	cmd.Flags().IntVar(&batch, "batch", 0, "fix the batch N, 0 for a dynamic one")
	cmd.Flags().BoolVar(&asked, "json", false, "print the files as JSON")
	cmd.Flags().BoolVar(&notFinite, "allow-not-finite", false, "export weights that are infinite or not a number, too")
	model.add(cmd.Flags())
	other.add(cmd.Flags())
	return cmd
}

// exportKinds writes one file a kind and prints their names and sizes.
func exportKinds(a *app, m *ebm.Model, out string, kinds []ebm.Kind, batch int, asJSON bool) error {
	files, err := assess.WriteKinds(m, out, kinds, batch, a.progress())
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(files)
	}
	a.printFiles(files)
	return nil
}

// printFiles prints names and sizes of files.
func (a *app) printFiles(files []assess.Exported) {
	for _, f := range files {
		a.printf("%s\t%d bytes\n", f.Path, f.Bytes)
	}
}
