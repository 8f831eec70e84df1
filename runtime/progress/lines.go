package progress

import "sync"

// Lines returns a log that several goroutines may write to: the given one gets
// a line at a time. Where that is nil, lines are dropped.
func Lines(log func(line string)) func(line string) {
	if log == nil {
		return func(string) {}
	}
	var turn sync.Mutex
	return func(line string) {
		turn.Lock()
		defer turn.Unlock()
		log(line)
	}
}
