package runtime

import (
	"sync"
	"sync/atomic"
)

// share says how much the devices of a runtime have to do: runs of sessions, and tensors
// that are held for chains of runs.
type share struct {
	mu   sync.Mutex
	busy []int
}

// take returns the device that has least to do, the first of equals, which then has more.
func (s *share) take() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	least := 0
	for i, n := range s.busy {
		if n < s.busy[least] {
			least = i
		}
	}
	s.busy[least]++
	return least
}

// give says that work of a device is done.
func (s *share) give(device int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy[device]--
}

// use gives the runtime its devices, none where the CPU computes.
func (r *Runtime) use(devices []*device) {
	r.refused = new(atomic.Pointer[string])
	if len(devices) > 0 {
		r.device = devices[0]
	}
	if len(r.info.Devices) < 2 {
		return
	}
	r.share = &share{busy: make([]int, len(r.info.Devices))}
	for i, number := range r.info.Devices {
		one := &Runtime{info: r.info, traffic: r.traffic, share: r.share, place: i, refused: r.refused}
		one.info.Device, one.info.Devices = number, []int{number}
		if len(devices) > 0 {
			one.device = devices[i]
		}
		r.each = append(r.each, one)
	}
}

// Each returns a runtime of each device alone, in the order of Config.Devices: r itself
// where there is one. They are closed with r. Sessions and held tensors of one work with
// those of r.
func (r *Runtime) Each() []*Runtime {
	if len(r.each) == 0 {
		return []*Runtime{r}
	}
	return r.each
}

// on makes a session on each device.
func (r *Runtime) on(load func(*Runtime) (*Session, error)) (*Session, error) {
	if len(r.each) == 0 {
		return load(r)
	}
	sessions, errs := make([]*Session, len(r.each)), make([]error, len(r.each))
	var wait sync.WaitGroup
	for i, one := range r.each {
		wait.Go(func() { sessions[i], errs[i] = load(one) })
	}
	wait.Wait()
	for _, err := range errs {
		if err == nil {
			continue
		}
		for _, s := range sessions {
			if s != nil {
				s.Close()
			}
		}
		return nil, err
	}
	sessions[0].others = sessions[1:]
	return sessions[0], nil
}

// turn returns the session on the device that has least to do, and what to call after
// the run.
func (s *Session) turn() (_ *Session, done func()) {
	if len(s.others) == 0 {
		return s, func() {}
	}
	share := s.runtime.share
	at := share.take()
	one := s
	if at > 0 {
		one = s.others[at-1]
	}
	return one, func() { share.give(at) }
}

// beside returns the session on the device of held tensors.
func (s *Session) beside(h *Held) *Session {
	if h == nil || h.runtime == nil {
		return s
	}
	for _, one := range s.others {
		if one.runtime == h.runtime {
			return one
		}
	}
	return s
}
