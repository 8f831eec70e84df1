// Package memory says how much memory a process may use, and refuses work that
// would need more before any of it is allocated.
package memory

import (
	"fmt"
	"math"
)

// Estimate is the memory that some work needs at least.
type Estimate struct {
	bytes    int64 // math.MaxInt64 when it is more than a number can say
	overflow bool
}

// Add adds the product of the factors, which are numbers of bytes and counts
// from 0. A product that no int64 holds makes the estimate larger than any memory.
func (e *Estimate) Add(factors ...int) {
	product := int64(1)
	for _, f := range factors {
		if f == 0 {
			return
		}
		if f < 0 || product > math.MaxInt64/int64(f) {
			e.overflow = true
			return
		}
		product *= int64(f)
	}
	if e.bytes > math.MaxInt64-product {
		e.overflow = true
		return
	}
	e.bytes += product
}

// Excess says how much is needed and how much there is when the estimate is
// above what the process may use, and is "" otherwise. Where it is not known what
// there is, estimates up to 1 TB are not.
func (e *Estimate) Excess() string {
	have := Limit()
	if !e.overflow && e.bytes <= have {
		return ""
	}
	return fmt.Sprintf("%v of memory are needed, and there are %s", e, text(have))
}

// Check holds so many things of at least some bytes each to the memory; what
// names them, such as "batch".
func Check(what string, count, each int) error {
	var e Estimate
	e.Add(max(count, 0), each)
	return e.Check(fmt.Sprintf("%s %d", what, count))
}

// Check is Excess as an error about what, such as "batch 5".
func (e *Estimate) Check(what string) error {
	if excess := e.Excess(); excess != "" {
		return fmt.Errorf("%s, want less: %s", what, excess)
	}
	return nil
}

func (e *Estimate) String() string {
	if e.overflow {
		return "more than " + text(math.MaxInt64)
	}
	return text(e.bytes)
}

func text(bytes int64) string {
	const units = "kMGTPE"
	if bytes < 1000 {
		return fmt.Sprintf("%d bytes", bytes)
	}
	v, unit := float64(bytes)/1000, 0
	for v >= 999.5 && unit < len(units)-1 {
		v, unit = v/1000, unit+1
	}
	return fmt.Sprintf("%.3g %cB", v, units[unit])
}

// unknown is what a machine has whose memory cannot be found out.
const unknown = 1 << 40
