package routing

import (
	"reflect"
	"slices"
	"sync/atomic"

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

// answer is a route and what it rests on. What a look-up touches comes first.
type answer struct {
	checked  atomic.Uint64 // the generation of the router in which all facts held
	asked    atomic.Bool   // since the hand last came by
	route    Route
	err      error // the answer is this error
	facts    []*fact
	question question
	place    int // in the ring
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

// cache keeps answers and the facts that they rest on, in a number of bytes. What goes first is found by the second-chance rule: a hand
// moves over the answers and takes the first that was not asked for since it last came by. So a look-up writes one bit and may share its
// lock; a list in order of use costs three cache misses more for each, which is half of the time that a look-up may take.
// It needs the router's lock, for reading in get and for writing elsewhere.
type cache struct {
	limit   int // in bytes
	bytes   int
	answers map[question]*answer
	ring    []*answer
	hand    int
	facts   map[factID]*fact
}

func newCache(limit int) *cache {
	return &cache{limit: limit, answers: map[question]*answer{}, facts: map[factID]*fact{}}
}

func (c *cache) get(q question) (*answer, bool) {
	a, ok := c.answers[q]
	if ok && !a.asked.Load() {
		a.asked.Store(true)
	}
	return a, ok
}

// add keeps an answer. None of its facts may be gone. Where others have read the same of a thing meanwhile, that fact is
// shared; where they have read something else, one of the two is older than a change that nobody here has learnt of yet: theirs goes, and
// add says so.
func (c *cache) add(a *answer) (went bool) {
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
	if old := c.answers[a.question]; old != nil {
		c.drop(old)
	}
	c.answers[a.question] = a
	a.place = len(c.ring)
	c.ring = append(c.ring, a)
	c.bytes += a.size()
	for c.bytes > c.limit && len(c.ring) > 0 {
		c.dropOne()
	}
	return went
}

// dropOne moves the hand to the first answer that may go. What was last, mostly the newest, takes its place, and the hand goes on behind
// that.
func (c *cache) dropOne() {
	for ; ; c.hand++ {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		if a := c.ring[c.hand]; !a.asked.Swap(false) {
			c.drop(a)
			c.hand++
			return
		}
	}
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

// drop keeps an answer no longer, nor the facts that only it rests on.
func (c *cache) drop(a *answer) {
	delete(c.answers, a.question)
	last := len(c.ring) - 1
	c.ring[a.place] = c.ring[last]
	c.ring[a.place].place = a.place
	c.ring[last] = nil
	c.ring = c.ring[:last]
	c.bytes -= a.size()
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
	*c = *newCache(c.limit)
}

// What things weigh, in bytes: measured with 100,000 of them, maps and lists around them included (TestSizeIsAboutTheMemory).
const (
	answerBytes      = 300
	factBytes        = 200
	destinationBytes = 450
	keyBytes         = 64
)

func (a *answer) size() int {
	return answerBytes + len(a.question.name) + 8*len(a.facts) + 8*cap(a.route.Destinations)
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
