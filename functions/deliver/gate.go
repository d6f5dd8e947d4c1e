package deliver

import (
	"context"
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/semaphore"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/ledger"
)

const (
	// A call waits for others of the same target to end, as long as they do: that many in a while are, by Little's law, calls of less than
	// 800 ms, and then it is us that the call waits for. A while is short: others wait for its slot. It is made of steps, so that a process
	// which gets no processor does not take its own stillness for the target's.
	while    = steps * step
	steps    = 10
	step     = 10 * time.Millisecond
	whiles   = 10
	progress = ledger.Share / 8
	// stuckAfter and maxStuck: that many attempts of one target that have lasted so long show that it is slow.
	stuckAfter = time.Second
	maxStuck   = 8
	// A breaker opens after breakAfter failures in a row, or when half of the last breakWindow attempts failed.
	breakAfter  = 5
	breakWindow = 20
	// stampEvery is how often a valve is told how its target does.
	stampEvery = time.Second
	// maxWatched is how many targets are remembered that have failed lately.
	maxWatched = 10_000
)

// key names a target among all instances.
type key struct {
	instance action.InstanceID
	target   action.TargetID
}

// gate bounds how many calls of one target are under way in this process, so that no target takes the slots of the others, and watches how
// attempts end.
type gate struct {
	mu       sync.Mutex
	underway map[key]*traffic
	watched  *simplelru.LRU[key, *record]
	stamped  *simplelru.LRU[stamp, time.Time]
}

// stamp is a note on a valve that an attempt succeeded, or failed.
type stamp struct {
	key
	good bool
}

// traffic is what is under way to a target.
type traffic struct {
	room   *semaphore.Weighted
	users  int // those that have room, or wait for it
	ended  int
	starts []time.Time // when each call began, the oldest first
}

// record is how the last attempts of a target ended, for targets of which some failed.
type record struct {
	failed uint32 // one bit for each of the last breakWindow attempts, the last one lowest
	count  int
	inRow  int
}

func newGate() *gate {
	return &gate{underway: map[key]*traffic{}, watched: remember[key, *record](), stamped: remember[stamp, time.Time]()}
}

func remember[K comparable, V any]() *simplelru.LRU[K, V] {
	memory, err := simplelru.NewLRU[K, V](maxWatched, nil)
	if err != nil {
		panic(err) // a size below one is the only error
	}
	return memory
}

// enter lets a call begin, after a moment if need be: what is fast makes room by then. It refuses where the target has its share of calls and
// keeps it, or is stuck; rate is how many calls a second ended meanwhile. What a sweeper released through the target's valve may try a stuck
// one, for the valve says how many try. Leave afterwards, with the time that it gives.
func (g *gate) enter(ctx context.Context, k key, released bool) (start time.Time, rate int, ok bool) {
	t := g.join(k, time.Now(), released)
	if t == nil {
		return start, 0, false
	}
	entered := false
	for range whiles {
		began, before := time.Now(), g.ended(t)
		entered = t.wait(ctx)
		ended := g.ended(t) - before
		if entered || ended < progress {
			rate = int(float64(ended) / time.Since(began).Seconds())
			break
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !entered {
		g.drop(k, t)
		return start, rate, false
	}
	start = time.Now()
	t.starts = append(t.starts, start)
	return start, rate, true
}

// wait waits a while for room.
func (t *traffic) wait(ctx context.Context) bool {
	for range steps {
		if t.waitStep(ctx) {
			return true
		}
	}
	return false
}

func (t *traffic) waitStep(ctx context.Context) bool {
	if t.room.TryAcquire(1) {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, step)
	defer cancel()
	return t.room.Acquire(ctx, 1) == nil
}

// ended is how many calls have ended while the target was busy.
func (g *gate) ended(t *traffic) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return t.ended
}

// join is the traffic of a target, nil if the target is stuck and this is not a release.
func (g *gate) join(k key, now time.Time, released bool) *traffic {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.underway[k]
	if t == nil {
		t = &traffic{room: semaphore.NewWeighted(ledger.Share)}
		g.underway[k] = t
	}
	if !released && len(t.starts) >= maxStuck && now.Sub(t.starts[maxStuck-1]) > stuckAfter {
		return nil
	}
	t.users++
	return t
}

// leave ends the call that began at start.
func (g *gate) leave(k key, start time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.underway[k]
	if i := slices.IndexFunc(t.starts, start.Equal); i >= 0 {
		t.starts = slices.Delete(t.starts, i, i+1)
	}
	t.room.Release(1)
	t.ended++
	g.drop(k, t)
}

// drop needs the lock.
func (g *gate) drop(k key, t *traffic) {
	if t.users--; t.users == 0 {
		delete(g.underway, k)
	}
}

// note remembers how an attempt ended, and says whether the breaker is to open.
func (g *gate) note(k key, good bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, found := g.watched.Get(k)
	if !found {
		if good {
			return false
		}
		r = &record{}
		g.watched.Add(k, r)
	}
	r.failed, r.count = r.failed<<1&(1<<breakWindow-1), min(r.count+1, breakWindow)
	r.inRow++
	if good {
		r.inRow = 0
	} else {
		r.failed |= 1
	}
	if r.failed == 0 {
		g.watched.Remove(k)
		return false
	}
	if good || r.inRow < breakAfter && (r.count < breakWindow || bits.OnesCount32(r.failed) < breakWindow/2) {
		return false
	}
	g.watched.Remove(k)
	return true
}

// mayStamp says whether a valve's note is old enough to be written again.
func (g *gate) mayStamp(k key, good bool, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := stamp{k, good}
	if last, found := g.stamped.Get(s); found && now.Sub(last) < stampEvery {
		return false
	}
	g.stamped.Add(s, now)
	return true
}
