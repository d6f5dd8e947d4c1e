package firestore

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/callout-dev/callout/emulator/storage"
)

// clock gives each commit its time, later than that of every other, and each read a moment: a snapshot, and a time such that the
// snapshot holds exactly the commits up to it.
type clock struct {
	started atomic.Int64 // the commit being applied; starting while its time is not known yet
	applied atomic.Int64 // the last one that is visible
	written atomic.Int64 // the last of these that wrote anything

	mu      sync.Mutex
	durable int64         // the last one that is on the disk
	changed chan struct{} // closed when durable moves or a commit is lost; nil while nobody waits
	lost    int64         // the last one whose sync failed
	why     error         // what that ended in
}

const starting = -1

// start gives the next commit its time. The caller holds the commit lock and calls finish.
func (c *clock) start() int64 {
	last := c.applied.Load()
	c.started.Store(starting)
	now := max(time.Now().UnixMicro(), last+1)
	c.started.Store(now)
	return now
}

// finish makes the commit's time the newest one, whether it was applied or not.
func (c *clock) finish(now int64) { c.applied.Store(now) }

// isDurable tells that all commits up to now are on the disk.
func (c *clock) isDurable(now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.durable = max(c.durable, now)
	c.move()
}

// isLost tells that the commit is not known to be on the disk, and that none after it will be before the store is opened afresh.
func (c *clock) isLost(now int64, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost, c.why = max(c.lost, now), why
	c.move()
}

func (c *clock) move() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// await waits until the commit of that time is on the disk, so that no reader acts on what a power cut may take back.
func (c *clock) await(commit int64) error {
	for {
		c.mu.Lock()
		if commit <= c.durable {
			c.mu.Unlock()
			return nil
		}
		if commit <= c.lost {
			c.mu.Unlock()
			return c.why
		}
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		c.mu.Unlock()
		<-changed
	}
}

// moment is what a read sees.
type moment struct {
	*storage.Snapshot
	time int64
}

// now takes a moment, which must be closed. Commits that are under way are waited for only when there is always one.
func (s *Server) now() moment {
	const tries = 8
	for range tries {
		if m, ok := s.tryNow(); ok {
			return m
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, _ := s.tryNow()
	return m
}

func (s *Server) tryNow() (moment, bool) {
	c := &s.clock
	now, applied := time.Now().UnixMicro()-1, c.applied.Load()
	snap := s.store.Snapshot()
	if c.started.Load() != applied {
		snap.Close()
		return moment{}, false
	}
	return moment{snap, max(now, applied)}, true
}
