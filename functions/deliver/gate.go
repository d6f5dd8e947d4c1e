package deliver

import (
	"math/bits"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/ledger"
)

const (
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

// gate bounds what is under way to one target in this process, so that no target takes the slots of the others, and watches how attempts end.
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

// traffic is what is under way to a target: when each attempt began, the oldest first.
type traffic struct{ starts []time.Time }

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

// enter lets an attempt begin, unless the target has its share already, or is stuck.
func (g *gate) enter(k key, limits action.Limits, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.underway[k]
	if t == nil {
		t = &traffic{}
		g.underway[k] = t
	}
	full := len(t.starts) >= ledger.Window(ledger.Share, limits)
	stuck := len(t.starts) >= maxStuck && now.Sub(t.starts[maxStuck-1]) > stuckAfter
	if full || stuck {
		return false
	}
	t.starts = append(t.starts, now)
	return true
}

// leave ends the attempt that began at start.
func (g *gate) leave(k key, start time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.underway[k]
	for i, s := range t.starts {
		if s.Equal(start) {
			t.starts = append(t.starts[:i], t.starts[i+1:]...)
			break
		}
	}
	if len(t.starts) == 0 {
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
