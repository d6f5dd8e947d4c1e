package routing

import (
	"context"
	"math"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/logging"
)

// How old the last good look may be.
const (
	fresh    = time.Second     // younger: nothing is to be done
	bearable = 2 * time.Second // younger: the known is used, and a look goes beside; older: a look comes first
)

const (
	// patience is how long anybody waits for a look.
	patience = 300 * time.Millisecond
	// lookTime bounds a look. One that is older was frozen together with the process.
	lookTime = time.Second
	// pause is how long a database that failed is left alone. With lookTime, it keeps the recovery within two seconds.
	pause = 500 * time.Millisecond
	// overlap is how much further back a look asks than the one before it.
	overlap = 10 * time.Second
	// maxGap is how long ago the last good look may have been, by the server's clock, for the feed to still hold all that came since:
	// half of what it keeps, because it is the writer's clock that says until when.
	maxGap = action.ChangeKept / 2
	// logEvery is how often it is logged that the database fails.
	logEvery = time.Minute
)

// seen is a good look.
type seen struct {
	number uint64    // the attempt's
	at     time.Time // when it began, by our clock
	asOf   time.Time // what it saw, by the server's
}

// since is an age that a frozen process, whose monotonic clock may have stood still, and a wall clock that is set forwards cannot make
// too small. After the wall clock was set back no age is known: then it is the greatest.
func since(t, now time.Time) time.Duration {
	wall := now.Round(0).Sub(t.Round(0))
	if wall < 0 {
		return math.MaxInt64
	}
	return max(wall, now.Sub(t))
}

// looking is the state of looks; the router's lock guards it.
type looking struct {
	attempt *attempt         // under way; nil: none
	begun   uint64           // how many there were
	handled map[feedKey]bool // the changes that the next look will find again
	failed  time.Time        // when the last look failed; zero: it did not
	err     error            // why
	logged  time.Time        // when that was last logged
}

type feedKey struct {
	instance action.InstanceID
	key      string
}

// attempt is a look under way.
type attempt struct {
	number  uint64
	started time.Time
	done    chan struct{}
}

// refresh sees to it that what is known is no older than it may be, as far as the database lets it.
func (r *Router) refresh(ctx context.Context) {
	last := r.seen.Load()
	if last == nil {
		r.lookFirst(ctx)
		return
	}
	switch age := since(last.at, time.Now()); {
	case age < fresh:
	case age <= bearable:
		r.mu.Lock()
		r.startLook(ctx)
		r.mu.Unlock()
	default:
		r.lookFirst(ctx)
	}
}

// startLook gives the look that is under way, a new one if there is none, or nil if the database has just failed. It needs the lock.
func (r *Router) startLook(ctx context.Context) *attempt {
	l, now := &r.looking, time.Now()
	if l.attempt != nil && since(l.attempt.started, now) <= lookTime {
		return l.attempt
	}
	if !l.failed.IsZero() && since(l.failed, now) < pause {
		return nil
	}
	l.begun++
	l.attempt = &attempt{number: l.begun, started: now, done: make(chan struct{})}
	go r.look(context.WithoutCancel(ctx), l.attempt)
	return l.attempt
}

// lookFirst waits for a look. When looks have failed, nobody waits for one longer than it has already been waited for.
func (r *Router) lookFirst(ctx context.Context) {
	r.mu.Lock()
	a := r.startLook(ctx)
	failing := !r.looking.failed.IsZero()
	r.mu.Unlock()
	if a != nil {
		wait := patience
		if failing {
			wait = max(0, patience-since(a.started, time.Now()))
		}
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-a.done:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if last := r.seen.Load(); last == nil || since(last.at, time.Now()) > bearable {
		r.stayed(ctx)
	}
}

// stayed notes that the known is used although it is too old, and logs it once a minute.
func (r *Router) stayed(ctx context.Context) {
	last := r.seen.Load()
	if last == nil { // nothing is known: the load will tell
		return
	}
	count := r.stale.Add(1)
	r.mu.Lock()
	now := time.Now()
	speak := since(r.looking.logged, now) >= logEvery
	if speak {
		r.looking.logged = now
	}
	err := r.looking.err
	r.mu.Unlock()
	if speak {
		r.log.WarnContext(ctx, "changes cannot be read: routes are those that are known", "age", since(last.at, now).Round(time.Millisecond).String(), "count", count, logging.Err, err)
	}
}

// look reads the feed and forgets what has changed.
func (r *Router) look(ctx context.Context, a *attempt) {
	defer close(a.done)
	from := time.Now()
	last := r.seen.Load()
	if last != nil {
		from = last.asOf.Add(-overlap)
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	changes, asOf, err := r.config.Changes(ctx, from)
	if err == nil && asOf.IsZero() {
		err = errs.New(errs.Internal, "", "the changes were read at no time")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	current := r.looking.attempt == a
	if current {
		r.looking.attempt = nil
	}
	newest := r.seen.Load()
	switch {
	case err != nil:
		if current {
			r.looking.failed, r.looking.err = time.Now(), err
		}
		return
	case newest != nil && (newest.number > a.number || last == nil): // overtaken
		return
	}
	r.apply(changes, newest, asOf)
	r.seen.Store(&seen{number: a.number, at: a.started, asOf: asOf})
	r.recovered(ctx)
}

// apply forgets what has changed since the newest look. It needs the lock.
func (r *Router) apply(changes []action.Change, newest *seen, asOf time.Time) {
	handled := make(map[feedKey]bool, len(changes))
	if newest != nil && mayMiss(len(changes), newest.asOf, asOf) {
		r.forgetAll()
	}
	for _, c := range changes {
		key := feedKey{c.Instance, c.Key}
		if newest != nil && !r.looking.handled[key] { // before the first look, nothing was kept
			r.forget(c)
		}
		handled[key] = true
	}
	r.looking.handled = handled
}

// mayMiss says whether a look may have missed changes: there were too many, they may have been removed since, or the server's clock was
// set back by more than looks overlap.
func mayMiss(changes int, before, asOf time.Time) bool {
	return changes >= action.MaxChanges || asOf.Sub(before) > maxGap || before.Sub(asOf) > overlap/2
}

// recovered needs the lock.
func (r *Router) recovered(ctx context.Context) {
	if !r.looking.logged.IsZero() {
		r.log.InfoContext(ctx, "changes can be read again")
	}
	r.looking.failed, r.looking.err, r.looking.logged = time.Time{}, nil, time.Time{}
}
