package routing

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/logging"
)

// held makes the next read of a sort wait, after the database has answered, until the result is closed.
func held(p *process, what string) (release chan struct{}) {
	release = make(chan struct{})
	var begun atomic.Bool
	p.between.set(func(b *between) {
		b.read = func(read string) {
			if read == what && begun.CompareAndSwap(false, true) {
				<-release
			}
		}
	})
	return release
}

// TestChangeDuringALoad: what was read before the change is for those who waited, and for nobody else.
func TestChangeDuringALoad(t *testing.T) {
	tests := []struct {
		name, read string
		change     func(*testing.T, *process)
		after      string
	}{
		{"the execution, while it was read", "executions", func(t *testing.T, p *process) { p.execution(t, here, "event/e", "t2") }, "event/e: t2"},
		{"the execution, while its targets were read", "targets", func(t *testing.T, p *process) { p.execution(t, here, "event/e", "t2") }, "event/e: t2"},
		{"the target", "targets", func(t *testing.T, p *process) { p.remove(t, here, "t1") }, "nothing"},
		{"everything", "targets", func(t *testing.T, p *process) {
			p.execution(t, here, "event/e", "t2")
			p.Forget(action.Change{})
		}, "event/e: t2"},
	}
	for _, tt := range tests {
		for _, far := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, far=%v", tt.name, far), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					db := openDatabase(t)
					p := db.process(t)
					writer := p
					if far {
						writer = db.process(t)
					}
					ground(t, p)
					p.event(t, here, "other")
					release := held(p, tt.read)
					early := make(chan string)
					go func() { early <- p.event(t, here, "e") }()
					synctest.Wait()
					tt.change(t, writer)
					if far { // it is a look that tells, while the load goes on
						time.Sleep(2001 * time.Millisecond)
						p.event(t, here, "other")
					}
					want(t, p.event(t, here, "e"), tt.after) // does not join what is under way
					close(release)
					want(t, <-early, "event/e: t1")
					want(t, p.event(t, here, "e"), tt.after)
				})
			})
		}
	}
}

// TestChangeDuringTheOnlyLoad: nobody asks meanwhile, and the next who asks reads.
func TestChangeDuringTheOnlyLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openDatabase(t).process(t)
		ground(t, p)
		release := held(p, "targets")
		early := make(chan string)
		go func() { early <- p.event(t, here, "e") }()
		synctest.Wait()
		p.execution(t, here, "event/e", "t2")
		close(release)
		want(t, <-early, "event/e: t1")
		if s := p.Status(); s.Answers != 0 || s.Facts != 0 || s.Bytes != 0 {
			t.Errorf("it was kept: %+v", s)
		}
		want(t, p.event(t, here, "e"), "event/e: t2")
	})
}

// TestTwoReadsOfOneThing: two loads have read one target, before and after a change that nobody has heard of. The next look settles it.
func TestTwoReadsOfOneThing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openDatabase(t)
		writer, reader := db.process(t), db.process(t)
		ground(t, writer)
		writer.execution(t, here, "event/f", "t1")
		reader.event(t, here, "other")
		release := held(reader, "targets")
		early := make(chan string)
		go func() { early <- reader.event(t, here, "e") }()
		synctest.Wait()
		db.mu.Lock()
		db.valves["t1"] = action.Valve{Instance: here, Target: "t1", State: action.ValveOpen}
		db.mu.Unlock()
		want(t, reader.event(t, here, "f"), "event/f: t1(open)")
		close(release)
		want(t, <-early, "event/e: t1")
		writer.setValve(t, action.Valve{Instance: here, Target: "t1", State: action.ValveOpen})
		time.Sleep(2001 * time.Millisecond)
		want(t, reader.event(t, here, "e"), "event/e: t1(open)")
		want(t, reader.event(t, here, "f"), "event/f: t1(open)")
		reader.Forget(action.Change{Instance: here, Kind: action.ChangeValve, ID: "t1"})
		reader.cache.checkBytes(t)
	})
}

// TestOneLoadForAll who ask at once, even if the first of them goes away.
func TestOneLoadForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openDatabase(t).process(t)
		ground(t, p)
		p.event(t, here, "other")
		reads := p.between.count("executions")
		release := held(p, "targets")
		first, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { _, err := p.Event(first, here, "e"); gone <- err }()
		synctest.Wait()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { want(t, p.event(t, here, "e"), "event/e: t1") })
		}
		synctest.Wait()
		cancel()
		if err := <-gone; !errs.Is(err, errs.Canceled) {
			t.Errorf("who went away: %v", err)
		}
		close(release)
		all.Wait()
		if n := p.between.count("executions") - reads; n != 1 {
			t.Errorf("%d reads", n)
		}
	})
}

// TestManyAtOnce changes and asks from many sides: after its own write, each sees it, and the books balance.
func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openDatabase(t)
		p, other := db.process(t), db.process(t)
		p.cache.limit = 12_000 // some go again soon
		for i := range 8 {
			p.target(t, here, action.TargetID(fmt.Sprint("t", i)))
		}
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				e := fmt.Sprint("e", i)
				for n := range 50 {
					target := fmt.Sprint("t", (i+n)%8)
					p.execution(t, here, action.ExecutionID("event/"+e), action.TargetID(target))
					want(t, p.event(t, here, e), "event/"+e+": "+target)
					for k := range 8 {
						p.event(t, here, fmt.Sprint("e", k))
						other.event(t, here, fmt.Sprint("e", k))
					}
					if n%10 == 0 {
						p.Forget(action.Change{})
					}
					time.Sleep(time.Duration(i*7+n) * time.Millisecond)
				}
			})
		}
		all.Wait()
		time.Sleep(2001 * time.Millisecond)
		for i := range 8 {
			e := fmt.Sprint("e", i)
			want(t, other.event(t, here, e), p.event(t, here, e))
		}
		p.cache.checkBytes(t)
		other.cache.checkBytes(t)
	})
}

// checkBytes counts everything again.
func (c *cache) checkBytes(t *testing.T) {
	t.Helper()
	bytes, uses := 0, map[*fact]int{}
	for q, a := range c.answers {
		if a.question != q || c.ring[a.place] != a {
			t.Errorf("the answer to %v is not where it should be", q)
		}
		bytes += a.size()
		for _, f := range a.facts {
			uses[f]++
		}
	}
	for f, n := range uses {
		bytes += f.size()
		if f.uses != n {
			t.Errorf("%v has %d uses, says %d", f.id, n, f.uses)
		}
		if known := c.facts[f.id]; known != f && !f.gone.Load() {
			t.Errorf("%v is used, not gone, and not known", f.id)
		}
	}
	for id, f := range c.facts {
		if f.uses == 0 || f.id != id || f.gone.Load() {
			t.Errorf("%v is known: %d uses, gone %v", id, f.uses, f.gone.Load())
		}
	}
	if bytes != c.bytes || len(c.ring) != len(c.answers) {
		t.Errorf("%d bytes, says %d; %d answers, %d in the ring", bytes, c.bytes, len(c.answers), len(c.ring))
	}
}

// TestBound: however much is asked for, it fits; what is asked for often stays.
func TestBound(t *testing.T) {
	c, types := eventTypes(5000)
	r := New(c, c, logging.Discard())
	r.cache.limit = 200_000
	often := func() Route {
		route, err := r.Event(t.Context(), here, types[0])
		if err != nil {
			t.Fatal(err)
		}
		return route
	}
	first := often().Destinations[0]
	for i, e := range append(types[1:], make([]string, 5000)...) {
		if e == "" {
			e = fmt.Sprint("matches.nothing.", i) // misses are kept, and bounded, like any other
		}
		if _, err := r.Event(t.Context(), here, e); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 && often().Destinations[0] != first {
			t.Fatalf("what is asked for often was read again after %d others", i)
		}
		if s := r.Status(); s.Bytes > r.cache.limit {
			t.Fatalf("%+v", s)
		}
	}
	if s := r.Status(); s.Answers < 50 || s.Answers > 1000 || s.Facts > 3000 {
		t.Errorf("%+v", s)
	}
	r.cache.checkBytes(t)
	r.Forget(action.Change{})
	if s := r.Status(); s.Answers+s.Facts+s.Bytes != 0 {
		t.Errorf("after everything changed: %+v", s)
	}
}
