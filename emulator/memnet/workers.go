package memnet

import "time"

// Workers run jobs on goroutines that stay for a while. A fresh goroutine begins with a small stack, and a call through a service makes it
// grow several times, which costs more than the hand-over.
type Workers struct {
	jobs chan func()
	quit chan struct{}
}

// idleTime is how long a worker waits for its next job.
const idleTime = time.Second

// NewWorkers makes workers; there are none until there is a job.
func NewWorkers() *Workers { return &Workers{jobs: make(chan func()), quit: make(chan struct{})} }

// Go runs a job without waiting for it.
func (w *Workers) Go(job func()) {
	select {
	case w.jobs <- job:
	default: // nobody is idle
		go w.work(job)
	}
}

// Close ends the workers that are idle, and the others after their jobs. Jobs may still come: each gets a goroutine of its own then.
func (w *Workers) Close() { close(w.quit) }

func (w *Workers) work(job func()) {
	timer := time.NewTimer(idleTime)
	defer timer.Stop()
	for {
		job()
		timer.Reset(idleTime)
		select {
		case job = <-w.jobs:
		case <-timer.C:
			return
		case <-w.quit:
			return
		}
	}
}
