package routing

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/logging"
)

const many = 100_000

// eventTypes are as many event types, each with an execution of its own, in no order and each a part of a larger text.
func eventTypes(n int) (plain, []string) {
	c := plain{size: n, known: map[action.ExecutionID]bool{}}
	types := make([]string, n)
	for i := range types {
		types[i] = fmt.Sprintf("{%q:%q}", "type", fmt.Sprintf("e.orders.line%d", i))[9:]
		types[i] = types[i][:len(types[i])-2]
		c.known[action.ExecutionID("event/"+types[i])] = true
	}
	rand.Shuffle(n, func(i, j int) { types[i], types[j] = types[j], types[i] })
	return c, types
}

// filled is a router that knows n executions, each of its own target.
func filled(t testing.TB, n int) (*Router, []string) {
	t.Helper()
	c, types := eventTypes(n)
	r := New(c, c, logging.Discard())
	for _, e := range types {
		route, err := r.Event(t.Context(), here, e)
		if err != nil || len(route.Destinations) != 1 || string(route.Execution) != "event/"+e {
			t.Fatalf("%s: %v, %v", e, words(route), err)
		}
	}
	return r, types
}

func TestKnownRouteAllocatesNothing(t *testing.T) {
	r, types := filled(t, 1000)
	ctx, i := t.Context(), 0
	tests := []struct {
		name string
		ask  func() error
	}{
		{"event", func() error { i++; _, err := r.Event(ctx, here, types[i%len(types)]); return err }},
		{"event that matches nothing", func() error { _, err := r.Event(ctx, here, "x.y.z"); return err }},
		{"method", func() error { _, err := r.Method(ctx, here, action.Response, "/a.S/M"); return err }},
		{"no method", func() error { _, err := r.Method(ctx, here, action.Request, "a.S/M"); return err }},
		{"function", func() error { _, err := r.Function(ctx, here, "preaccesstoken"); return err }},
		{"target", func() error { _, err := r.Destination(ctx, here, "t-1"); return err }},
		{"event after a change of something else", func() error {
			r.generation.Add(1)
			_, err := r.Event(ctx, here, types[0])
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var err error
			// One in a thousand may be the goroutine that looks for changes: that is a call a second.
			if n := testing.AllocsPerRun(1000, func() { err = tt.ask() }); n != 0 || err != nil {
				t.Errorf("%v allocations, %v", n, err)
			}
		})
	}
}

// TestSizeIsAboutTheMemory holds the weights of cache.go to what the runtime says.
func TestSizeIsAboutTheMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("fills the memory")
	}
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	c, types := eventTypes(many)
	before := heap()
	r := New(c, c, logging.Discard())
	for _, e := range types {
		if _, err := r.Event(t.Context(), here, e); err != nil {
			t.Fatal(err)
		}
	}
	used, said := heap()-before, r.Status().Bytes
	t.Logf("%d executions: %d MB, estimated %d MB, %d answers, %d facts", many, used>>20, said>>20, r.Status().Answers, r.Status().Facts)
	if ratio := float64(said) / float64(used); ratio < 0.7 || ratio > 1.5 {
		t.Errorf("estimated %d bytes, used %d: off by %.2f", said, used, ratio)
	}
	if n := r.Status().Answers; n != many {
		t.Errorf("%d answers are kept of %d", n, many)
	}
	runtime.KeepAlive(types)
}

// BenchmarkKnown asks for any of 100,000 executions, in no order: next to none of them is in the processor's cache.
func BenchmarkKnown(b *testing.B) {
	r, types := filled(b, many)
	b.Run("event", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := r.Event(b.Context(), here, types[i%many]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("event, all processors", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for i := rand.IntN(many); p.Next(); i++ {
				if _, err := r.Event(b.Context(), here, types[i%many]); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	b.Run("event, something else changed before each", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			r.generation.Add(1)
			if _, err := r.Event(b.Context(), here, types[i%many]); err != nil {
				b.Fatal(err)
			}
		}
	})
	if _, err := r.Method(b.Context(), here, action.Request, "/a.S/M"); err != nil {
		b.Fatal(err)
	}
	b.Run("method", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Method(b.Context(), here, action.Request, "/a.S/M"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("forget one and ask for it", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			r.Forget(action.Change{Instance: here, Kind: action.ChangeExecution, ID: "event/" + types[i%many]})
			if _, err := r.Event(b.Context(), here, types[i%many]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkDatabase is the same question with the embedded Firestore behind it: known, and read each time.
func BenchmarkDatabase(b *testing.B) {
	p := openDatabase(b).process(b)
	p.target(b, here, "t1")
	p.execution(b, here, "event/order.created", "t1")
	ask := func(b *testing.B) {
		if got := p.event(b, here, "order.created"); got != "event/order.created: t1" {
			b.Fatal(got)
		}
	}
	b.Run("known", func(b *testing.B) {
		for b.Loop() {
			ask(b)
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			p.Forget(action.Change{})
			ask(b)
		}
	})
	b.Run("look", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := p.store.Changes(b.Context(), p.seen.Load().asOf); err != nil {
				b.Fatal(err)
			}
		}
	})
}
