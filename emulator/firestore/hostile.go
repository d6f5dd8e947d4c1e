package firestore

import (
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Hostile makes a server misbehave as a real one may, and in the same way for the same seed and order of calls: a client that is right
// survives it. Each chance is between 0 and 1.
type Hostile struct {
	Seed   uint64
	Abort  float64       // a commit is not applied, and ends in ABORTED
	Before float64       // a commit is not applied, and ends in UNAVAILABLE
	After  float64       // a commit is applied, and ends in UNAVAILABLE
	Delay  time.Duration // what a listener is told comes up to this late
}

// hostile is nil where nothing is to go wrong.
type hostile struct {
	Hostile
	mu  sync.Mutex
	rng *rand.Rand
}

func newHostile(h *Hostile) *hostile {
	if h == nil {
		return nil
	}
	return &hostile{Hostile: *h, rng: rand.New(rand.NewPCG(h.Seed, 0))}
}

func (h *hostile) happens(chance float64) bool {
	if chance == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rng.Float64() < chance
}

func (h *hostile) beforeCommit() error {
	switch {
	case h == nil:
	case h.happens(h.Abort):
		return status.Error(codes.Aborted, "hostile: the commit was aborted")
	case h.happens(h.Before):
		return status.Error(codes.Unavailable, "hostile: the commit was not applied")
	}
	return nil
}

func (h *hostile) afterCommit() error {
	if h != nil && h.happens(h.After) {
		return status.Error(codes.Unavailable, "hostile: the commit was applied, and this answer was lost")
	}
	return nil
}

// listenerDelay is how long to wait before a listener is told of something.
func (h *hostile) listenerDelay() time.Duration {
	if h == nil || h.Delay == 0 {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Duration(h.rng.Int64N(int64(h.Delay)))
}
