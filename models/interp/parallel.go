package interp

import (
	goruntime "runtime"
	"sync"
	"sync/atomic"
)

// worthwhile is the number of multiplications below which starting
// goroutines costs more than it saves.
const worthwhile = 1 << 16

// parallel runs tasks 0 … n−1, each of about cost multiplications, on as many
// goroutines as there are processors. No two tasks may write the same
// element.
func parallel(n, cost int, task func(i int)) {
	workers := min(goruntime.GOMAXPROCS(0), n)
	if workers <= 1 || n*cost < worthwhile {
		for i := range n {
			task(i)
		}
		return
	}
	var next atomic.Int64
	var done sync.WaitGroup
	for range workers {
		done.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				task(i)
			}
		})
	}
	done.Wait()
}
