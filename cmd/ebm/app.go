package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"ebm"
	"ebm/cmd/internal/parts"
	"ebm/cmd/internal/terminal"
	"ebm/runtime"
	"ebm/runtime/mpi"
	"ebm/runtime/progress"
)

// app is what commands share: where they write, the flags they have in
// common, and what those open.
type app struct {
	stdout, stderr io.Writer

	provider   string
	devices    []int
	threads    int
	tf32       bool
	precision  string // of products, a flag of the commands that have others than fp32 and tf32
	graphs     bool
	choices    string // of forms on a device
	autotune   bool   // a flag of the commands that tune
	rounding   bool   // the CPU may play a precision
	ortLibrary string
	quiet      bool
	profile    bool
	counts     runtime.Traffic

	rt    *runtime.Runtime
	bar   *terminal.Progress
	world *mpi.World  // of a command that ranks share, nil before it began
	work  *parts.Work // of a command that computes a part of a job, nil of others
}

func (a *app) addFlags(f *pflag.FlagSet) {
	f.StringVar(&a.provider, "provider", "auto", "what computes: cpu, cuda, webgpu, or auto for the best there is")
	f.IntSliceVar(&a.devices, "device", nil, "numbers of the devices, such as 0,1, which share groups of chains and the shards of a batch "+
		"(default 0)")
	f.IntVar(&a.threads, "threads", 0, "threads of ONNX Runtime on the CPU (default all cores)")
	f.BoolVar(&a.tf32, "tf32", false, "let CUDA round products to TF32: faster, about three digits (--precision tf32)")
	f.BoolVar(&a.graphs, "cuda-graphs", false, "have CUDA repeat the steps of training and chains as captured graphs, one launch each")
	f.StringVar(&a.choices, "choices", "", "forms of models on a device, the fastest of which --autotune finds: some of elu (a node each for "+
		"ELU and its slope), nhwc and graphs (CUDA) with commas, or none (default: elu with CUDA)")
	f.StringVar(&a.ortLibrary, "ort-library", "", "ONNX Runtime's shared library, or its folder (default: found by itself)")
	f.BoolVar(&a.profile, "profile", false, "at the end, say how many runs were made and what crossed to and from the device")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "no progress on standard error")
}

// addPrecision adds the flag of commands whose models have products of 16 bits.
func (a *app) addPrecision(f *pflag.FlagSet) {
	f.StringVar(&a.precision, "precision", "", "of convolutions and products on a device: fp32, tf32 (CUDA), fp16 or bf16 (CUDA); sums and "+
		"the rest stay in float32 (default fp32)")
}

// runtime opens ONNX Runtime as the flags say, once.
func (a *app) runtime(ctx context.Context) (*runtime.Runtime, error) {
	if a.rt != nil {
		return a.rt, nil
	}
	c, err := a.config()
	if err != nil {
		return nil, err
	}
	a.rt, err = runtime.Open(ctx, c)
	return a.rt, err
}

// config returns the runtime's configuration of the flags.
func (a *app) config() (runtime.Config, error) {
	p, err := runtime.ParseProvider(a.provider)
	if err != nil {
		return runtime.Config{}, usageError{err}
	}
	precision, err := runtime.ParsePrecision(a.precision)
	if err != nil {
		return runtime.Config{}, usageError{err}
	}
	if a.tf32 {
		if a.precision != "" && precision != runtime.TF32 {
			return runtime.Config{}, usagef("--tf32 and --precision %s exclude each other", precision)
		}
		precision = runtime.TF32
	}
	choices, err := runtime.ParseChoices(a.choices, p)
	if err != nil {
		return runtime.Config{}, usageError{fmt.Errorf("--%w", err)}
	}
	if a.threads < 0 {
		return runtime.Config{}, usagef("--threads %d, want a number from 0", a.threads)
	}
	if a.graphs && p != runtime.CUDA && p != runtime.Auto {
		return runtime.Config{}, usagef("--cuda-graphs with --provider %s, want cuda or auto", p)
	}
	if a.autotune && a.choices != "" {
		return runtime.Config{}, usagef("--autotune and --choices %s exclude each other", a.choices)
	}
	if a.graphs {
		choices = cmp.Or(choices, runtime.Elu).With(runtime.Graphs, true)
	}
	asked := runtime.ListDevices(a.devices)
	for i, number := range a.devices {
		if number < 0 || slices.Contains(a.devices[:i], number) {
			return runtime.Config{}, usagef("--device %s, want numbers from 0, each once", asked)
		}
		if p == runtime.CPU && (number > 0 || i > 0) {
			return runtime.Config{}, usagef("--device %s with --provider cpu, which is one device, want --provider cuda", asked)
		}
	}
	return runtime.Config{Library: a.ortLibrary, Provider: p, Devices: a.devices, Threads: a.threads, Precision: precision,
		Rounding: a.rounding, Choices: choices, Log: a.log, Traffic: &a.counts}, nil
}

// load finds a model and says when it took a part of a file.
func (a *app) load(ref string) (*ebm.Model, error) {
	return ebm.LoadWith(ref, ebm.LoadOptions{Log: a.log})
}

// log prints a line on standard error, above the progress bars; of several ranks, one does.
func (a *app) log(line string) {
	if a.world != nil && a.world.Rank() > 0 {
		return
	}
	if a.bar != nil {
		fmt.Fprintln(a.bar, line)
	} else if !a.quiet {
		fmt.Fprintln(a.stderr, line)
	}
}

// progress returns the progress display, on standard error; of a part of a job, the folder
// that parts share learns it too.
func (a *app) progress() progress.Progress {
	if a.bar == nil {
		a.bar = terminal.New(a.stderr, a.quiet)
	}
	return a.work.Over(a.bar)
}

// printf prints results on standard output, after the progress display ends.
func (a *app) printf(format string, args ...any) {
	a.endProgress()
	fmt.Fprintf(a.stdout, format, args...)
}

// printJSON prints a result for programs. It says which numbers are null because
// they are not finite.
func (a *app) printJSON(v any) error {
	a.endProgress()
	data, nulls, err := finiteJSON(v)
	if err != nil {
		return err
	}
	if len(nulls) > 0 {
		a.log("not finite, so null: " + strings.Join(nulls, ", "))
	}
	_, err = a.stdout.Write(append(data, '\n'))
	return err
}

// answer prints a result: as JSON for programs, or in words.
func (a *app) answer(asJSON bool, result any, words string, args ...any) error {
	if asJSON {
		return a.printJSON(result)
	}
	a.printf(words, args...)
	return nil
}

// printProfile says what --profile asks for, on standard error.
func (a *app) printProfile() {
	runs := a.counts.Runs()
	if !a.profile || runs == 0 {
		return
	}
	a.endProgress()
	up, down := a.counts.ToDevice(), a.counts.FromDevice()
	fmt.Fprintf(a.stderr, "profile: %d runs, %d bytes to the device (%d a run), %d from it (%d a run)\n", runs, up, up/runs, down, down/runs)
}

func (a *app) endProgress() {
	if a.bar != nil {
		a.bar.Close()
		a.bar = nil
	}
}

func (a *app) close() {
	a.endProgress()
	if a.rt != nil {
		a.rt.Close()
	}
}

// least is the least value that a flag may have.
type least struct {
	flag         string
	value, least float64
}

// atLeast returns wrong usage for the first flag that is below its least value,
// or no number.
func atLeast(flags ...least) error {
	for _, f := range flags {
		if !(f.value >= f.least) {
			return usagef("--%s %g, want %g or more", f.flag, f.value, f.least)
		}
	}
	return nil
}

// table prints lines whose cells end at tabs: in columns in a terminal, and as
// they are in a pipe.
func (a *app) table(text string) {
	if !isTerminal(a.stdout) {
		a.printf("%s", text)
		return
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	io.WriteString(w, text) // into memory, which does not fail
	w.Flush()
	a.printf("%s", b.String())
}

// confirm returns nil if what is to be done was agreed to: by the flag --yes, or
// by an answer in a terminal.
func (a *app) confirm(ctx context.Context, in io.Reader, yes bool, what string) error {
	if yes {
		return nil
	}
	if !isTerminal(in) || !isTerminal(a.stderr) {
		return usagef("this would %s, want --yes to do so", what)
	}
	fmt.Fprintf(a.stderr, "This will %s.\nGo on? [y/N] ", what)
	answer := make(chan string, 1)
	go func() { // which an interrupt does not wait for
		line, _ := bufio.NewReader(in).ReadString('\n') // an end of input is no yes
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case said := <-answer:
		if said != "y" && said != "yes" {
			return errors.New("nothing was changed")
		}
		return nil
	}
}

// screen returns f's file if it is a terminal.
func screen(f any) (*os.File, bool) {
	if out, ok := f.(*results); ok {
		f = out.Writer
	}
	file, ok := f.(*os.File)
	return file, ok && term.IsTerminal(int(file.Fd()))
}

// isTerminal reports whether f is a terminal.
func isTerminal(f any) bool {
	_, ok := screen(f)
	return ok
}

// engine opens a model with what the flags say of the runtime. Close it when done.
func (a *app) engine(ctx context.Context, m *ebm.Model) (*ebm.Engine, error) {
	c, err := a.config()
	if err != nil {
		return nil, err
	}
	return m.Open(ctx, c)
}
