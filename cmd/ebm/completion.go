package main

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm"
	"ebm/cmd/internal/bench"
	"ebm/cmd/internal/inspect"
	"ebm/cmd/internal/reproduce"
	"ebm/evaluate/features"
	"ebm/evaluate/sets"
	"ebm/mdsm"
	"ebm/mdsm/ais"
	"ebm/mdsm/dataset"
	"ebm/mdsm/langevin"
	"ebm/mdsm/mcmc"
	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/models/inception"
	"ebm/models/zoo"
	"ebm/runtime"
)

// complete has the shell complete the arguments and the values of flags of all
// commands under root. Flags that name a file or a folder are left to the shell.
func complete(root *cobra.Command) {
	for _, cmd := range allCommands(root) {
		switch cmd.Name() {
		case "inspect", "convert", "evaluate", "compare", "watch":
			cmd.ValidArgsFunction = oneOf(false, references)
		case "models":
			cmd.ValidArgsFunction = oneOf(false, shippedNames)
		case "reproduce":
			cmd.ValidArgsFunction = oneOf(false, itemNames)
		}
		define := func(f *pflag.Flag) {
			values := flagValues(cmd.Name(), f.Name)
			if values == nil {
				return
			}
			if err := cmd.RegisterFlagCompletionFunc(f.Name, oneOf(strings.HasSuffix(f.Value.Type(), "Slice"), values)); err != nil {
				panic(err) // a flag that is not there, or has one already
			}
		}
		cmd.LocalFlags().VisitAll(define)
	}
}

// allCommands returns root and all commands under it.
func allCommands(root *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{root}
	for _, c := range root.Commands() {
		all = append(all, allCommands(c)...)
	}
	return all
}

// oneOf completes by values; in a list, the part after the last comma. Where
// none of them begins as the word does, the shell offers files.
func oneOf(list bool, values func() []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		before := ""
		if at := strings.LastIndex(word, ","); list && at >= 0 {
			before = word[:at+1]
		}
		var found []string
		for _, v := range values() {
			if strings.HasPrefix(before+v, word) {
				found = append(found, before+v)
			}
		}
		return found, cobra.ShellCompDirectiveDefault
	}
}

// flagValues returns what the values of a command's flag can be, nil where
// they are numbers, names of the user's own, files or folders.
func flagValues(command, flag string) func() []string {
	switch command + " --" + flag {
	case "likelihood --preset":
		return wordsOf("cheap", "paper")
	case "train --schedule":
		return func() []string { return texts(train.Schedules()) }
	case "classifier --data-name":
		return zoo.Classifiers
	case "compose --classifier":
		return zoo.Classifiers
	case "train --precision", "sample --precision", "inpaint --precision", "bench --precision", "verify --precision":
		return func() []string { return texts(runtime.Precisions()) }
	case "inspect --after":
		return inspect.StageNames
	case "inspect --kind":
		return func() []string { return texts(ebm.Kinds()) }
	case "export --kinds":
		return func() []string { return texts(ebm.Kinds()) }
	}
	switch flag {
	case "provider":
		return wordsOf(runtime.Auto, runtime.CPU, runtime.CUDA, runtime.WebGPU)
	case "device":
		return func() []string {
			var numbers []string
			for i := range runtime.Devices() {
				numbers = append(numbers, strconv.Itoa(i))
			}
			return numbers
		}
	case "run", "start":
		return references
	case "checkpoint":
		return wordsOf("newest", "best")
	case "preset":
		return train.Presets
	case "data-name":
		return dataset.Names
	case "images", "samples", "reference", "against":
		return dataSets
	case "net":
		return energy.Names
	case "head":
		return wordsOf(energy.Heads(energy.UNetName)...)
	case "activation":
		return func() []string { return texts(energy.Activations()) }
	case "sigma-spacing":
		return wordsOf(mdsm.Linear, mdsm.Geometric)
	case "weighting":
		return wordsOf(mdsm.InverseVariance, mdsm.Inverse, mdsm.Uniform)
	case "objective":
		return func() []string { return texts(train.Objectives()) }
	case "schedule":
		return wordsOf("paper", string(langevin.Linear), string(langevin.Constant))
	case "sampler":
		return func() []string {
			return append(append([]string{string(mcmc.Langevin)}, texts(langevin.Methods())...), string(mcmc.MALA), string(mcmc.HMC),
				langevin.TemperingName)
		}
	case "mask":
		return langevin.Regions
	case "for":
		return targetNames
	case "points":
		return wordsOf(ais.Clean, ais.Noisy, ais.Dequantised)
	case "toy":
		return energy.Toys
	case "metrics":
		return sets.Names
	case "parts":
		return runParts
	case "features":
		return func() []string {
			names := []string{byInception, byClassifier, byPixels}
			for _, c := range zoo.Classifiers() {
				names = append(names, byClassifier+":"+c)
			}
			return names
		}
	case "features-range":
		return func() []string { return texts(features.InputRanges()) }
	case "preprocess":
		return func() []string { return texts(inception.Conventions()) }
	case "job":
		return wordsOf(bench.Score, bench.Train, bench.Sample, bench.Features)
	case "scale":
		return wordsOf(reproduce.Smoke, reproduce.Small, reproduce.Paper)
	}
	return nil
}

func texts[T ~string](values []T) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = string(v)
	}
	return list
}

func wordsOf[T ~string](values ...T) func() []string {
	return func() []string { return texts(values) }
}

func shippedNames() []string { return slices.Concat(zoo.Names(), zoo.Classifiers()) }

// references are the shipped energies and the runs in the folder runs.
func references() []string {
	runs, _ := filepath.Glob(filepath.Join("runs", "*", train.ConfigFile)) // the pattern is none that fails
	names := slices.Clone(zoo.Names())
	for _, r := range runs {
		names = append(names, filepath.ToSlash(filepath.Dir(r)))
	}
	return names
}

func itemNames() []string {
	names := []string{"all"}
	for _, i := range reproduce.Items() {
		names = append(names, i.Name)
	}
	return names
}

// dataSets are the data sets with their parts.
func dataSets() []string {
	var names []string
	for _, name := range dataset.Names() {
		if name != "folder" {
			names = append(names, name+":train", name+":test")
		}
	}
	return names
}
