package routing

import "time"

// Status says how a router does.
type Status struct {
	// Looked is when the last good look at the changes began; zero: there was none. Age is how long ago.
	Looked time.Time
	Age    time.Duration
	// Err is why the last look failed; nil: it did not.
	Err error
	// Stale counts the answers from what was known although it was older than two seconds, because nothing newer was to be had.
	Stale uint64
	// Answers, Facts and Bytes say what is kept.
	Answers, Facts, Bytes int
}

// Status tells how the router does now. It asks nobody.
func (r *Router) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{Err: r.looking.err, Stale: r.stale.Load(), Answers: r.cache.answers.Len(), Facts: len(r.cache.facts), Bytes: r.cache.bytes}
	if last := r.seen.Load(); last != nil {
		s.Looked, s.Age = last.at, since(last.at, time.Now())
	}
	return s
}
