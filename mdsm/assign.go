package mdsm

import "math"

// Assign returns for each row of a square table of costs [n n] its column, each column
// once, so that the sum of their costs is least: the shortest augmenting paths of Jonker
// and Volgenant, "A shortest augmenting path algorithm for dense and sparse linear
// assignment problems" (1987), in the order of n³ at most. Costs must be finite.
func Assign(cost []float64, n int) []int {
	const none = -1
	rowOf, colOf := make([]int, n), make([]int, n)
	for i := range n {
		rowOf[i], colOf[i] = none, none
	}
	u, v := make([]float64, n), make([]float64, n) // duals of rows and columns
	// Rows that are the cheapest of a column are assigned at once.
	for j := range n {
		least := 0
		for i := range n {
			if cost[i*n+j] < cost[least*n+j] {
				least = i
			}
		}
		if v[j] = cost[least*n+j]; colOf[least] == none {
			rowOf[j], colOf[least] = least, j
		}
	}
	distance, before, open, settled := make([]float64, n), make([]int, n), make([]int, n), make([]int, 0, n)
	for free := range n {
		if colOf[free] != none {
			continue
		}
		open, settled = open[:n], settled[:0]
		for j := range n {
			distance[j], open[j] = math.Inf(1), j
		}
		// The shortest path, in reduced costs, from the free row to a free column.
		row, least, sink := free, 0.0, none
		for sink == none {
			costs, base := cost[row*n:row*n+n], least-u[row]
			next, nearest := 0, math.Inf(1)
			for k, j := range open {
				d := distance[j]
				if through := base + costs[j] - v[j]; through < d {
					d = through
					distance[j], before[j] = d, row
				}
				if d < nearest || d == nearest && rowOf[j] == none {
					next, nearest = k, d
				}
			}
			j := open[next]
			open[next] = open[len(open)-1]
			open, least = open[:len(open)-1], nearest
			if row = rowOf[j]; row == none {
				sink = j
			} else {
				settled = append(settled, j)
			}
		}
		u[free] += least
		for _, j := range settled {
			u[rowOf[j]] += least - distance[j]
			v[j] -= least - distance[j]
		}
		for j := sink; ; {
			i := before[j]
			rowOf[j] = i
			j, colOf[i] = colOf[i], j
			if i == free {
				break
			}
		}
	}
	return colOf
}
