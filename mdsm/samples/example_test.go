package samples_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"ebm/mdsm/samples"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// Fill a folder with pictures that a function makes in groups of four, and have it
// grow: what is there stays.
func Example() {
	dir, err := os.MkdirTemp("", "samples")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	job := func(count int) samples.Job {
		return samples.Job{
			Record: samples.Record{Count: count, Group: 4, Engine: "this example"},
			Shape:  []int{1, 8, 8},
			Stage: func(groups []int, _ int) progress.Stage {
				return progress.Begin(nil, "sample", int64(len(groups)), "groups")
			},
			Run: func(_ context.Context, groups []int, stage progress.Stage, _ samples.States, deliver func(samples.Batch) error) error {
				for _, g := range groups {
					n := min(4, count-4*g)
					if err := deliver(samples.Batch{First: 4 * g, X: tensor.New(tensor.Float32, n, 1, 8, 8)}); err != nil {
						return err
					}
					stage.Add(1)
				}
				return nil
			},
		}
	}
	for _, count := range []int{6, 6, 10} {
		w, err := samples.Folder{Dir: dir}.Write(context.Background(), job(count), nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d samples, %d of them made now\n", w.Count, w.Made)
	}
	// Output:
	// 6 samples, 6 of them made now
	// 6 samples, 0 of them made now
	// 10 samples, 4 of them made now
}
