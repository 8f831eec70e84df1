package dataset_test

import (
	"context"
	"fmt"
	"log"

	"ebm/mdsm/dataset"
	"ebm/models/tensor"
)

// MNIST as the means of 2×2 pixels of its padded pictures.
func ExampleLoad() {
	set, err := dataset.Load(context.Background(), dataset.Spec{Name: "mnist", Split: dataset.Test, Size: 16})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(set.Len(), set.Shape(), set.Pad, set.Labels[0])
	fmt.Println(dataset.Tensor(set, []int{0, 1, 2}))
	// Output:
	// 10000 [1 16 16] 1 7
	// float32[3 1 16 16]
}

// Points of a program's own as data, some of them held out.
func ExampleRows() {
	data, err := dataset.Rows(tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 3, 2))
	if err != nil {
		log.Fatal(err)
	}
	held, err := dataset.Part(data, 2, 3)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(data.Len(), data.Shape(), dataset.Tensor(held, nil).Float64s())
	// Output: 3 [2] [5 6]
}
