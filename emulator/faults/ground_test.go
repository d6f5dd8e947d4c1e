package faults_test

import (
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/emulator/pubsub"
)

// plain is a world with a target that is well, one that fails each third call, one that is away for half an hour, and a chain of two.
func plain(t *testing.T, seed uint64, change func(*local.Config)) *world {
	w := newWorld(t, seed, func(c *local.Config) {
		quick(c)
		if change != nil {
			change(c)
		}
	})
	w.site("well", well)
	w.site("shaky", failsEach(3))
	w.site("away", answers(http.StatusInternalServerError))
	w.site("gate", failsEach(4), "interrupts")
	w.site("after", well)
	w.route("order.created", "well", "shaky", "away", "gate", "after")
	return w
}

// TestHostilePushes: pushes come twice, late, in another order and again though they were acknowledged.
func TestHostilePushes(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]pubsub.Hostile{
		"each push comes twice":                              {Duplicate: 1},
		"pushes come late, up to ten minutes, and reordered": {Reorder: 0.5, Delay: 0.5, MostDelay: 10 * time.Minute},
		"pushes come up to two hours late":                   {Delay: 0.3, MostDelay: 2 * time.Hour},
		"half of all acknowledgements are lost":              {DropAck: 0.5},
		"pushes come twice, late, reordered and again":       {Duplicate: 0.3, Reorder: 0.3, Delay: 0.3, MostDelay: time.Minute, DropAck: 0.2},
	} {
		if h.Reorder*h.DropAck == 0 && !*report {
			continue // CI has the one with all of it
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, seed uint64) {
				h.Seed = seed
				w := plain(t, seed, func(c *local.Config) { c.HostilePubSub = &h })
				w.stream("order.created", scale(), 200*time.Millisecond)
				time.Sleep(30 * time.Minute)
				w.sites["away"].become(well)
				record(t, w.judge(groupGround, "hostile pushes", name, expectation{unbounded: true}))
			})
		})
	}
}

// TestHostileFirestore: the database itself aborts, refuses and forgets to answer.
func TestHostileFirestore(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, seed uint64) {
		w := plain(t, seed, func(c *local.Config) {
			c.HostileFirestore = &firestore.Hostile{Seed: seed, Abort: 0.1, Before: 0.1, After: 0.1}
		})
		w.stream("order.created", scale(), 200*time.Millisecond)
		time.Sleep(30 * time.Minute)
		w.sites["away"].become(well)
		record(t, w.judge(groupGround, "a hostile database", "a database that aborts, refuses and forgets to answer, a tenth of the commits each", expectation{unbounded: true}))
	})
}

// TestOutages: the services are away, or do not answer, or messages are gone for good, while events come in as far as they can.
func TestOutages(t *testing.T) {
	t.Parallel()
	database := func(r rule) []rule {
		var rules []rule
		for _, kind := range []string{"commit", "batch", "get", query, count} {
			r.kind = kind
			rules = append(rules, r)
		}
		return rules
	}
	away := rule{code: codes.Unavailable, chance: 1}
	for name, tt := range map[string]struct {
		rules   []rule
		lasting time.Duration
		deaf    bool // no event is taken meanwhile
		ci      bool // for less long
	}{
		"the database is away for three hours":               {rules: database(away), lasting: 3 * time.Hour},
		"the database does not answer for three hours":       {rules: database(rule{hangs: true}), lasting: 3 * time.Hour},
		"database and queue are away for three hours":        {rules: []rule{away}, lasting: 3 * time.Hour, deaf: true, ci: true},
		"the process is frozen for three hours":              {rules: []rule{{hangs: true}}, lasting: 3 * time.Hour, deaf: true},
		"no ticks for six hours":                             {rules: []rule{{kind: publishTicks, code: codes.Unavailable, chance: 1}}, lasting: 6 * time.Hour},
		"no dead letters and no slow deliveries for an hour": {rules: []rule{{kind: publishLetters, code: codes.Unavailable, chance: 1}, {kind: publishSlow, code: codes.Unavailable, chance: 1}}, lasting: time.Hour},
		"a third of the deliveries' messages is gone for good": {rules: []rule{{kind: publishFirst, lost: true, chance: 0.3}, {kind: publishSlow, lost: true, chance: 0.3},
			{kind: publishTicks, lost: true, chance: 0.3}}, lasting: 2 * time.Hour},
	} {
		if !*report {
			if !tt.ci {
				continue
			}
			tt.lasting = 20 * time.Minute
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, seed uint64) {
				w := plain(t, seed, nil)
				w.stream("order.created", scale()/2, 200*time.Millisecond)
				w.inject.arm(tt.rules...)
				if !tt.deaf {
					w.stream("order.created", scale()/2, 200*time.Millisecond)
				}
				time.Sleep(tt.lasting)
				w.inject.disarm()
				w.sites["away"].become(well)
				w.stream("order.created", scale()/2, 200*time.Millisecond)
				record(t, w.judge(groupGround, "outages", name, expectation{unbounded: true}))
			})
		})
	}
}

// TestRestarts stops the installation in the middle of everything, a few times, and starts it on the same data.
func TestRestarts(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	inBubble(t, func(t *testing.T, seed uint64) {
		w := plain(t, seed, func(c *local.Config) { c.Data = data })
		for k := range 5 {
			w.stream("order.created", scale()/5, 100*time.Millisecond)
			w.stop()
			time.Sleep(time.Duration(k) * 20 * time.Minute) // the clock jumps ahead
			w.start()
		}
		w.sites["away"].become(well)
		record(t, w.judge(groupGround, "restarts", "five stops and starts on the same data, an hour of clock between them", expectation{}))
	})
}

// TestClockGoesBack: at the second start the clock shows the time of the first one.
func TestClockGoesBack(t *testing.T) {
	wide(t)
	t.Parallel()
	data := t.TempDir()
	durable := func(c *local.Config) { c.Data = data }
	var before *world
	inBubble(t, func(t *testing.T, seed uint64) {
		before = plain(t, seed, durable)
		for range 2 {
			before.stream("order.created", scale()/10, 100*time.Millisecond)
			time.Sleep(time.Hour)
		}
		before.stream("order.created", scale()/2, 10*time.Millisecond)
	})
	inBubble(t, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, func(c *local.Config) {
			quick(c)
			durable(c)
		})
		w.routes, w.sent = before.routes, before.sent
		w.adopt(before)
		w.sites["away"].become(well)
		w.stream("order.created", scale()/2, 10*time.Millisecond)
		record(t, w.judge(groupGround, "a clock that goes back", "a restart on a clock that went back two hours", expectation{unbounded: true}))
	})
}
