//go:build mpi

package mpi

/*
#include <mpi.h>

// What are macros in one library and variables in another.
static MPI_Comm world(void) { return MPI_COMM_WORLD; }
static MPI_Request none(void) { return MPI_REQUEST_NULL; }

static int start(int *provided) {
	int err = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, provided);
	return err != MPI_SUCCESS ? err : MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
}

static int local(int *rank, int *size) {
	MPI_Comm node;
	int err = MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
	if (err != MPI_SUCCESS) return err;
	MPI_Comm_rank(node, rank);
	MPI_Comm_size(node, size);
	return MPI_Comm_free(&node);
}

static int send(float *data, int n, int to, int tag, MPI_Request *r) {
	return MPI_Isend(data, n, MPI_FLOAT, to, tag, MPI_COMM_WORLD, r);
}
static int receive(float *data, int n, int from, int tag, MPI_Request *r) {
	return MPI_Irecv(data, n, MPI_FLOAT, from, tag, MPI_COMM_WORLD, r);
}
static int test(MPI_Request *r, int *done) { return MPI_Test(r, done, MPI_STATUS_IGNORE); }
static int barrier(MPI_Request *r) { return MPI_Ibarrier(MPI_COMM_WORLD, r); }
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"strings"
	"time"
	"unsafe"
)

// Built says whether this program can be one of several ranks.
const Built = true

// Tags of messages: what ranks before this one came to, and what all came to.
const (
	before = iota
	all
)

// World is the ranks of a job. The zero World is one rank alone.
type World struct {
	ranks
	chunk int         // values that are sent at once
	calls chan func() // to the thread that MPI is called from
}

// Open connects the ranks of the job. A program that no launcher started is one rank.
func Open() (*World, error) {
	w := &World{chunk: 1 << 16}
	if n, _ := launched(os.Getenv); n == 0 && os.Getenv("PMIX_RANK") == "" {
		return w, nil
	}
	w.calls = make(chan func())
	go func() { // the thread that all calls come from
		goruntime.LockOSThread()
		for call := range w.calls {
			call()
		}
	}()
	var provided C.int
	var err error
	w.do(func() {
		if err = failure(C.start(&provided)); err != nil {
			return
		}
		var rank, size, local, locals C.int
		C.MPI_Comm_rank(C.world(), &rank)
		C.MPI_Comm_size(C.world(), &size)
		err = failure(C.local(&local, &locals))
		w.rank, w.size, w.local, w.locals = int(rank), int(size), int(local), int(locals)
		var text [C.MPI_MAX_LIBRARY_VERSION_STRING]C.char
		var n C.int
		C.MPI_Get_library_version(&text[0], &n)
		w.library, _, _ = strings.Cut(C.GoStringN(&text[0], n), ",")
		w.library = strings.Join(strings.Fields(w.library), " ")
	})
	if err != nil {
		return nil, fmt.Errorf("connect the ranks: %w", err)
	}
	if n, name := launched(os.Getenv); n > w.size {
		return nil, fmt.Errorf("%s says %d ranks, but MPI connects %d, want the mpirun (or srun --mpi) of the MPI that this program was "+
			"built with", name, n, w.size)
	}
	return w, nil
}

// do makes a call from the thread of MPI.
func (w *World) do(call func()) {
	done := make(chan struct{})
	w.calls <- func() {
		defer close(done)
		call()
	}
	<-done
}

// failure returns the error of a code.
func failure(code C.int) error {
	if code == C.MPI_SUCCESS {
		return nil
	}
	var text [C.MPI_MAX_ERROR_STRING]C.char
	var n C.int
	C.MPI_Error_string(code, &text[0], &n)
	return errors.New("MPI: " + C.GoStringN(&text[0], n))
}

func (w *World) sum(ctx context.Context, total []float32, add func(lo, hi int)) (err error) {
	var pin goruntime.Pinner
	defer pin.Unpin()
	if len(total) > 0 {
		pin.Pin(&total[0])
	}
	c := chain{World: w, total: total, add: add}
	w.do(func() { err = c.run(ctx) })
	return err
}

// chain is a sum on its way: chunks come from the rank before, go to the one behind, and
// come back.
type chain struct {
	*World
	total []float32
	add   func(lo, hi int)

	begun, ended int             // chunks to which this rank has added, and that are the whole sum
	in, out      []C.MPI_Request // by chunk: from the rank before, and to the one behind
	back         []C.MPI_Request // from the one behind
	waiting      []bool          // whether back is posted
	down         []C.MPI_Request // to the rank before
}

// chunks returns how many chunks the vector has.
func (c *chain) chunks() int { return (len(c.total) + c.chunk - 1) / c.chunk }

// at returns a chunk's place.
func (c *chain) at(i int) (lo, hi int) { return i * c.chunk, min((i+1)*c.chunk, len(c.total)) }

func (c *chain) run(ctx context.Context) error {
	n := c.chunks()
	c.in, c.out, c.back, c.down = requests(n), requests(n), requests(n), requests(n)
	c.waiting = make([]bool, n)
	if c.rank > 0 {
		for i := range n {
			if err := c.receive(i, c.rank-1, before, &c.in[i]); err != nil {
				return err
			}
		}
	}
	idle := 0
	for c.ended < n {
		moved, err := c.step()
		if err != nil {
			return err
		}
		if moved {
			idle = 0
			continue
		}
		if idle++; idle < 200 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		goruntime.Gosched()
		if idle > 2000 {
			time.Sleep(50 * time.Microsecond)
		}
	}
	for i := range n {
		for _, r := range []*C.MPI_Request{&c.out[i], &c.down[i]} {
			for done := false; !done; {
				var err error
				if done, err = test(r); err != nil {
					return err
				}
				if err := ctx.Err(); err != nil && !done {
					return err
				}
			}
		}
	}
	return nil
}

// step does what can be done at once, and says whether it was anything.
func (c *chain) step() (moved bool, err error) {
	last := c.rank == c.size-1
	if i := c.begun; i < c.chunks() {
		there := c.rank == 0
		if !there {
			if there, err = test(&c.in[i]); err != nil {
				return false, err
			}
		}
		if there {
			c.add(c.at(i))
			c.begun++
			moved = true
			if last {
				c.ended++
				err = c.send(i, c.rank-1, all, &c.down[i])
			} else {
				err = c.send(i, c.rank+1, before, &c.out[i])
			}
			if err != nil {
				return moved, err
			}
		}
	}
	if i := c.ended; !last && i < c.begun {
		if !c.waiting[i] {
			// The chunk is free for the sum when what it was has left.
			if c.waiting[i], err = test(&c.out[i]); err != nil || !c.waiting[i] {
				return moved, err
			}
			moved = true
			if err := c.receive(i, c.rank+1, all, &c.back[i]); err != nil {
				return moved, err
			}
		}
		done, err := test(&c.back[i])
		if err != nil || !done {
			return moved, err
		}
		c.ended++
		if c.rank > 0 {
			return true, c.send(i, c.rank-1, all, &c.down[i])
		}
		return true, nil
	}
	return moved, nil
}

func requests(n int) []C.MPI_Request {
	list := make([]C.MPI_Request, n)
	for i := range list {
		list[i] = C.none()
	}
	return list
}

func (c *chain) send(i, to, tag int, r *C.MPI_Request) error {
	lo, hi := c.at(i)
	c.sent += int64(4 * (hi - lo))
	return failure(C.send((*C.float)(unsafe.Pointer(&c.total[lo])), C.int(hi-lo), C.int(to), C.int(tag), r))
}

func (c *chain) receive(i, from, tag int, r *C.MPI_Request) error {
	lo, hi := c.at(i)
	return failure(C.receive((*C.float)(unsafe.Pointer(&c.total[lo])), C.int(hi-lo), C.int(from), C.int(tag), r))
}

// test reports whether a message has come or gone.
func test(r *C.MPI_Request) (bool, error) {
	var done C.int
	err := failure(C.test(r, &done))
	return done != 0, err
}

// Together waits until all ranks have called it, for so long at most, and says whether
// they have.
func (w *World) Together(limit time.Duration) (all bool) {
	if w.Size() == 1 {
		return true
	}
	r := new(C.MPI_Request)
	*r = C.none()
	end := time.Now().Add(limit)
	w.do(func() {
		err := failure(C.barrier(r))
		for err == nil && !all && time.Now().Before(end) {
			if all, err = test(r); !all {
				time.Sleep(time.Millisecond)
			}
		}
	})
	w.unended = w.unended || !all
	return all
}

// Close ends the ranks' connection, which all ranks do.
func (w *World) Close() (err error) {
	if w.calls == nil || w.unended {
		return nil
	}
	w.do(func() { err = failure(C.MPI_Finalize()) })
	close(w.calls)
	w.calls, w.size, w.rank = nil, 1, 0
	return err
}

// Abort ends all ranks, this one too, with exit status 1.
func (w *World) Abort() {
	if w.calls != nil {
		w.do(func() { C.MPI_Abort(C.world(), 1) })
	}
}
