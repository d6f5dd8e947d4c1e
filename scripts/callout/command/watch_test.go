package command_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/scripts/callout/command"
	"github.com/callout-dev/callout/shared/action"
)

// watching is a command that runs beside the test.
type watching struct {
	t         *testing.T
	stop      context.CancelFunc
	done      chan int
	out, errs *buffer
}

func (w *world) watch(screen bool, args ...string) *watching {
	ctx, cancel := context.WithCancel(w.t.Context())
	p, _, _ := w.process("", args...)
	v := &watching{t: w.t, stop: cancel, done: make(chan int, 1), out: &buffer{}, errs: &buffer{}}
	p.Out, p.Err, p.Screen, p.Terminal = v.out, v.errs, screen, screen
	go func() { v.done <- command.Run(ctx, p) }()
	return v
}

// after gives what is printed in the time that follows.
func (v *watching) after(d time.Duration) string {
	v.out.Reset()
	time.Sleep(d)
	synctest.Wait()
	return v.out.String()
}

// interrupt ends it, in good order.
func (v *watching) interrupt() {
	v.t.Helper()
	v.stop()
	if code := <-v.done; code != command.ExitFine {
		v.t.Errorf("exit %d, %s", code, v.errs.String())
	}
}

func TestWatchPrintsWhatHasChanged(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		for _, args := range [][]string{{"target", "list"}, {"target", "settings", "alpha"}, {"execution", "list"}, {"delivery", "list"}} {
			v := w.watch(false, append(args, "--watch")...)
			if first := v.after(500 * time.Millisecond); first != w.ok(args...) {
				t.Errorf("%q: at first %q", args, first)
			}
			if more := v.after(time.Minute); more != "" {
				t.Errorf("%q: nothing has changed, and it prints %q", args, more)
			}
			v.interrupt()
		}
		v := w.watch(false, "target", "list", "-w", "--interval", "5s", "--name", "alp")
		v.after(time.Second)
		w.ok("target", "update", "alpha", "--timeout", "3s")
		if next := v.after(3 * time.Second); next != "" {
			t.Errorf("before the interval: %q", next)
		}
		if next := v.after(2 * time.Second); next != w.ok("target", "list", "--name", "alp") || !strings.Contains(next, "3s") {
			t.Errorf("after a change: %q", next)
		}
		v.interrupt()
	})
}

func TestWatchOfADelivery(t *testing.T) {
	inWorld(t, func(w *world) {
		id := w.deliveries.add(action.Delivery{Target: "t1", State: action.Pending, EventType: "a.b"}, "e1", "alpha")
		v := w.watch(false, "delivery", "get", string(id), "--watch", "-o", "json")
		if first := v.after(time.Second); !strings.Contains(first, `"pending"`) {
			t.Errorf("at first %q", first)
		}
		w.deliveries.mu.Lock()
		w.deliveries.all[0].State = action.Delivered
		w.deliveries.mu.Unlock()
		if next := v.after(2 * time.Second); !strings.Contains(next, `"delivered"`) {
			t.Errorf("then %q", next)
		}
		w.deliveries.mu.Lock()
		w.deliveries.all = nil
		w.deliveries.mu.Unlock()
		v.after(2 * time.Second)
		if code := <-v.done; code != command.ExitFailed {
			t.Errorf("what is gone ends it with %d", code)
		}
		wantSaid(t, v.errs.String(), "no such delivery")
	})
}

func TestWatchOnATerminal(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		v := w.watch(true, "target", "list", "--watch")
		first := v.after(time.Second)
		wantSaid(t, first, "\x1b[?1049h", "callout target list  every 2s", "alpha")
		if next := v.after(2 * time.Second); !strings.Contains(next, "\x1b[H") || strings.Contains(next, "1049") {
			t.Errorf("the next one is %q", next)
		}
		v.out.Reset()
		v.interrupt()
		if last := v.out.String(); !strings.HasPrefix(last, "\x1b[?25h\x1b[?1049l") || !strings.HasSuffix(last, w.ok("target", "list")) {
			t.Errorf("the end is %q", last)
		}
	})
}

func TestWatchGoesOnWhenTheAPIIsAwayForAWhile(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		var away atomic.Bool
		w.before = func(rw http.ResponseWriter, _ *http.Request) bool {
			if away.Load() {
				rw.WriteHeader(http.StatusServiceUnavailable)
			}
			return away.Load()
		}
		for _, screen := range []bool{false, true} {
			v := w.watch(screen, "target", "list", "--watch")
			v.after(time.Second)
			away.Store(true)
			out := v.after(10 * time.Second)
			if screen {
				wantSaid(t, out, "503", "alpha")
			} else if said := v.errs.String(); out != "" || strings.Count(said, "looking again") != 1 {
				t.Errorf("it prints %q and says %q", out, said)
			}
			away.Store(false)
			w.ok("target", "update", "alpha", "--timeout", "4s")
			wantSaid(t, v.after(2*time.Second), "4s")
			w.ok("target", "update", "alpha", "--timeout", "5s")
			v.interrupt()
		}
		away.Store(true)
		w.fails(command.ExitFailed, []string{"target", "list", "--watch"}, "503") // from the start
	})
}

func TestWatchRefuses(t *testing.T) {
	inWorld(t, func(w *world) {
		for says, args := range map[string][]string{
			"at least 1s":        {"target", "list", "--watch", "--interval", "100ms"},
			"goes with --watch":  {"target", "list", "--interval", "3s"},
			"--watch only looks": {"target", "settings", "a", "--watch", "--rate", "3"},
			"unknown shorthand":  {"key", "list", "a", "-w"},
		} {
			w.fails(command.ExitUsage, args, says)
		}
	})
}
