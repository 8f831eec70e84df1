package main

import (
	"slices"
	"testing"
)

// TestDevicesOfRanks gives the ranks of a machine their devices.
func TestDevicesOfRanks(t *testing.T) {
	for _, c := range []struct {
		asked []int
		all   int
		want  [][]int // of each rank
	}{
		{nil, 0, [][]int{nil, nil}},
		{nil, 2, [][]int{{0}, {1}, {0}}},
		{nil, 8, [][]int{{0}}},
		{[]int{4, 5, 6, 7}, 8, [][]int{{4, 5}, {6, 7}}},
		{[]int{2, 3}, 8, [][]int{{2}, {3}, {2}}},
		{[]int{1, 3}, 8, [][]int{{1, 3}}},
	} {
		for rank, want := range c.want {
			if got := devicesOf(rank, len(c.want), c.asked, c.all); !slices.Equal(got, want) {
				t.Errorf("rank %d of %d, --device %v, %d devices: %v, want %v", rank, len(c.want), c.asked, c.all, got, want)
			}
		}
	}
}
