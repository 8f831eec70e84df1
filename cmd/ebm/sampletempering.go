package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"ebm/mdsm/langevin"
	"ebm/mdsm/samples"
)

// temperingFlags are the flags of sample --sampler tempering.
type temperingFlags struct {
	ladder    []float64
	replicas  int
	swapEvery int
}

func (f *temperingFlags) add(fs *pflag.FlagSet) {
	fs.IntVar(&f.replicas, "replicas", 10, "chains of each sample, at temperatures from 1 to --hot in equal ratios")
	fs.Float64SliceVar(&f.ladder, "ladder", nil, "their temperatures in place of these, rising, such as 1,3,10,30; the first is that of the "+
		"samples")
	fs.IntVar(&f.swapEvery, "swap-every", 10, "Langevin steps of each chain between swaps of neighbours")
}

// temper changes settings to tempering, with so many steps of each chain.
func (f *temperingFlags) temper(set *langevin.Settings, steps int, hot float64) error {
	if err := atLeast(least{"replicas", float64(f.replicas), 2}, least{"swap-every", float64(f.swapEvery), 1}); err != nil {
		return err
	}
	if !(hot > 1) && f.ladder == nil {
		return usagef("--hot %g, want a temperature above 1", hot)
	}
	t := &langevin.Tempering{Temperatures: f.ladder, Every: f.swapEvery, Rounds: max(steps/f.swapEvery, 1)}
	if f.ladder == nil {
		t.Temperatures = langevin.Ladder(hot, f.replicas)
	}
	set.Tempering = t
	if set.Watch.Chains > 0 {
		set.Watch.Snapshots = langevin.Snapshots(12, t.Rounds)
		for i := range set.Watch.Snapshots {
			set.Watch.Snapshots[i] *= f.swapEvery * len(t.Temperatures)
		}
	}
	if err := set.Validate(); err != nil {
		return usageError{err}
	}
	return nil
}

// saySwaps logs how often neighbours of tempering swapped.
func (f *sampleFlags) saySwaps(a *app, set langevin.Settings) error {
	if set.Tempering == nil || set.Watch.Chains == 0 {
		return nil
	}
	p, err := samples.ReadProcess(f.out)
	if err != nil {
		return err
	}
	var list []string
	for _, s := range p.Swaps {
		list = append(list, fmt.Sprintf("%.2f between T = %.3g and %.3g", float64(s.Accepted)/float64(max(s.Tried, 1)), s.Cold, s.Hot))
	}
	a.log("swaps accepted: " + strings.Join(list, ", "))
	return nil
}
