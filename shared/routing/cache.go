package routing

import (
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/callout-dev/callout/shared/action"
)

type factKind uint8

const (
	execution factKind = iota
	target
)

type factID struct {
	instance action.InstanceID
	kind     factKind
	name     string
}

// fact is what the database said of one thing. It does not change once it is kept; it only goes.
type fact struct {
	id   factID
	gone atomic.Bool // it may no longer be so
	uses int         // how many kept answers rest on it

	targets     []action.TargetID // of an execution; none where it does not exist
	destination *Destination      // of a target; nil where it does not exist
	err         error             // it exists, but cannot be read
}

// same says whether two facts of one thing say the same.
func (f *fact) same(g *fact) bool {
	return f.err == nil && g.err == nil && slices.Equal(f.targets, g.targets) && reflect.DeepEqual(f.destination, g.destination)
}

// answer is a route and what it rests on.
type answer struct {
	route   Route
	err     error // the answer is this error
	facts   []*fact
	checked atomic.Uint64 // the generation of the router in which all facts held
}

// holds says whether all facts still are, looking at them only if something has gone since it last did.
func (a *answer) holds(generation uint64) bool {
	if a.checked.Load() == generation {
		return true
	}
	for _, f := range a.facts {
		if f.gone.Load() {
			return false
		}
	}
	a.checked.Store(generation)
	return true
}

// cache keeps answers, the last asked the longest, and the facts that they rest on. It needs the router's lock.
type cache struct {
	limit   int // in bytes
	bytes   int
	answers *simplelru.LRU[question, *answer]
	facts   map[factID]*fact
}

// maxAnswers is more than ever fit: the bound is in bytes.
const maxAnswers = 1 << 30

func newCache(limit int) *cache {
	c := &cache{limit: limit, facts: map[factID]*fact{}}
	c.answers, _ = simplelru.NewLRU(maxAnswers, c.release) // fails for sizes below 1 alone
	return c
}

func (c *cache) get(q question) (*answer, bool) { return c.answers.Get(q) }

// add keeps an answer to a question. None of its facts may be gone. Where others have read the same of a thing meanwhile, that fact is
// shared; where they have read something else, one of the two is older than a change that nobody here has learnt of yet: theirs goes, and
// add says so.
func (c *cache) add(q question, a *answer) (went bool) {
	for i, f := range a.facts {
		known := c.facts[f.id]
		switch {
		case known == nil:
			c.facts[f.id] = f
		case known == f:
		case known.same(f):
			a.share(i, known)
		default:
			known.gone.Store(true)
			c.facts[f.id] = f
			went = true
		}
		if f = a.facts[i]; f.uses == 0 {
			c.bytes += f.size()
		}
		f.uses++
	}
	c.answers.Remove(q)
	c.answers.Add(q, a)
	c.bytes += a.size(q)
	for c.bytes > c.limit && c.answers.Len() > 0 {
		c.answers.RemoveOldest()
	}
	return went
}

// share makes a fact that is known already the i-th of an answer.
func (a *answer) share(i int, known *fact) {
	if own := a.facts[i].destination; own != nil {
		if at := slices.Index(a.route.Destinations, own); at >= 0 {
			a.route.Destinations[at] = known.destination
		}
	}
	a.facts[i] = known
}

// release is called for each answer that is no longer kept.
func (c *cache) release(q question, a *answer) {
	c.bytes -= a.size(q)
	for _, f := range a.facts {
		if f.uses--; f.uses > 0 {
			continue
		}
		c.bytes -= f.size()
		if c.facts[f.id] == f {
			delete(c.facts, f.id)
		}
	}
}

// forget makes a fact gone. The answers that rest on it stay until they are asked for or pushed out: most of what they rest on still is.
func (c *cache) forget(id factID) {
	if f := c.facts[id]; f != nil {
		f.gone.Store(true)
		delete(c.facts, id)
	}
}

func (c *cache) forgetAll() {
	for _, f := range c.facts {
		f.gone.Store(true)
	}
	c.answers.Purge()
	clear(c.facts)
}

// What things weigh, in bytes: measured with 100,000 of them, maps and lists around them included (TestSizeIsAboutTheMemory).
const (
	answerBytes      = 450
	factBytes        = 250
	destinationBytes = 450
	keyBytes         = 64
)

func (a *answer) size(q question) int {
	return answerBytes + len(q.name) + 8*len(a.facts) + 8*cap(a.route.Destinations)
}

func (f *fact) size() int {
	n := factBytes + len(f.id.name)
	for _, t := range f.targets {
		n += 16 + len(t)
	}
	if d := f.destination; d != nil {
		n += destinationBytes + len(d.Target.Name) + len(d.Target.Endpoint) + keyBytes*len(d.Target.SigningKeys) + 8*len(d.Target.Delivery.Schedule)
	}
	return n
}
