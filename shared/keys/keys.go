// Package keys knows the web keys of each instance from memory: those that sign payloads, and those that receivers verify them with. How
// old the known may be is the law of shared/routing: under a second it is used; to two seconds it is used, and a look goes beside; over that a
// look comes first, 300 ms of it at most; while the database fails, the known is used and the log says so. With keys that are a day old
// nobody signs any more: who verifies may no longer find them.
package keys

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/logging"
)

// How old the last good look may be.
const (
	fresh    = time.Second
	bearable = 2 * time.Second
)

const (
	// patience is how long anybody waits for a look who has something to use in its place.
	patience = 300 * time.Millisecond
	// lookTime bounds a look, and loadTime the first one.
	lookTime = time.Second
	loadTime = 10 * time.Second
	// pause is how long a database that failed is left alone.
	pause = 500 * time.Millisecond
	// logEvery is how often it is logged that the database fails.
	logEvery = time.Minute
)

var (
	// errNone is the reference's for an instance without a key.
	errNone  = errs.New(errs.Internal, "QUERY-Opoh7", "No active web key found")
	errStale = errs.New(errs.Unavailable, "", "the web keys could not be read for too long; try again")
)

// Source reads web keys.
type Source interface {
	// WebKeys reads an instance's keys; none where none were made. Those that are among the known need not be opened again.
	WebKeys(ctx context.Context, instance action.InstanceID, known action.WebKeys) (action.WebKeys, error)
}

// Keeper keeps the keys of all instances. It may be used by many at once.
type Keeper struct {
	source Source
	log    *slog.Logger

	mu    sync.Mutex
	known map[action.InstanceID]*entry
}

// New makes a keeper.
func New(source Source, log *slog.Logger) *Keeper {
	return &Keeper{source: source, log: log, known: map[action.InstanceID]*entry{}}
}

// entry is an instance. The keeper's lock guards it.
type entry struct {
	keys   action.WebKeys // none: nothing is known, or there are none
	good   time.Time      // when the last good look began; zero: there was none
	looked time.Time      // the same, and zero after a change of ours
	wrote  uint64         // how many changes of ours there were
	flight *flight        // the look that may be joined
	failed time.Time      // when the last look failed; zero: it did not
	logged time.Time      // when that was last logged
}

// flight is a look under way.
type flight struct {
	began time.Time
	wrote uint64
	done  chan struct{}
	err   error // set when done is closed
}

// Signing is the key that signs now. The error is Internal where there is none or it cannot be read, and Unavailable while the database
// does not tell.
func (k *Keeper) Signing(ctx context.Context, instance action.InstanceID) (action.WebKey, error) {
	known, good, err := k.of(ctx, instance)
	if err != nil {
		return action.WebKey{}, err
	}
	now := time.Now()
	if since(good, now) > action.WebKeyStale {
		return action.WebKey{}, errStale
	}
	key, ok := known.Signing(now)
	switch {
	case !ok:
		return key, errNone
	case key.Err != nil:
		return action.WebKey{}, errs.New(errs.Internal, "", "the web key cannot be opened").Because(key.Err)
	}
	return key, nil
}

// Published are the keys to verify with now.
func (k *Keeper) Published(ctx context.Context, instance action.InstanceID) (action.WebKeys, error) {
	known, _, err := k.of(ctx, instance)
	return known.Published(time.Now()), err
}

// of gives what is known, and when that was so.
func (k *Keeper) of(ctx context.Context, instance action.InstanceID) (action.WebKeys, time.Time, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.known[instance]
	if e == nil {
		e = &entry{}
		k.known[instance] = e
	}
	// That there are no keys is soon untrue: it is never used without a look.
	switch age := since(e.looked, time.Now()); {
	case len(e.keys) > 0 && age < fresh:
		return e.keys, e.good, nil
	case len(e.keys) > 0 && age <= bearable:
		k.start(ctx, instance, e)
		return e.keys, e.good, nil
	}
	f, known := k.start(ctx, instance, e), len(e.keys) > 0
	var err error
	if f != nil {
		k.mu.Unlock()
		err = wait(ctx, f, known)
		k.mu.Lock()
	}
	if len(e.keys) == 0 {
		return nil, e.good, err
	}
	if since(e.looked, time.Now()) > bearable {
		k.stayed(ctx, e, err)
	}
	return e.keys, e.good, nil
}

// wait waits for a look: with patience, where there is something to use in its place.
func wait(ctx context.Context, f *flight, known bool) error {
	var late <-chan time.Time
	if known {
		timer := time.NewTimer(max(0, patience-since(f.began, time.Now())))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-f.done:
		return f.err
	case <-late:
		return nil
	case <-ctx.Done():
		return errs.New(errs.Unavailable, "", "the web keys could not be read in time").Because(context.Cause(ctx))
	}
}

// start gives the look that is under way or a new one, and nil where the database has just failed and something is known. It needs the
// lock.
func (k *Keeper) start(ctx context.Context, instance action.InstanceID, e *entry) *flight {
	now := time.Now()
	limit := loadTime
	if len(e.keys) > 0 {
		limit = lookTime
	}
	if e.flight != nil && e.flight.wrote == e.wrote && since(e.flight.began, now) <= limit {
		return e.flight
	}
	if len(e.keys) > 0 && !e.failed.IsZero() && since(e.failed, now) < pause {
		return nil
	}
	e.flight = &flight{began: now, wrote: e.wrote, done: make(chan struct{})}
	go k.look(context.WithoutCancel(ctx), instance, e, e.flight, e.keys, limit)
	return e.flight
}

func (k *Keeper) look(ctx context.Context, instance action.InstanceID, e *entry, f *flight, known action.WebKeys, limit time.Duration) {
	defer close(f.done)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found, err := k.source.WebKeys(ctx, instance, known)
	k.mu.Lock()
	defer k.mu.Unlock()
	f.err = err
	current := e.flight == f
	if current {
		e.flight = nil
	}
	switch {
	case err != nil:
		if current {
			e.failed = time.Now()
		}
	case f.wrote != e.wrote || f.began.Before(e.good): // what was read may be older than what we wrote, or know already
	default:
		e.keys, e.good, e.looked, e.failed = found, f.began, f.began, time.Time{}
		if !e.logged.IsZero() {
			e.logged = time.Time{}
			k.log.InfoContext(ctx, "web keys can be read again")
		}
	}
}

// stayed logs once a minute that the known is used although it is too old. It needs the lock.
func (k *Keeper) stayed(ctx context.Context, e *entry, err error) {
	now := time.Now()
	if since(e.logged, now) < logEvery {
		return
	}
	e.logged = now
	age := since(e.good, now).Round(time.Millisecond).String()
	k.log.WarnContext(ctx, "the web keys cannot be read: those that are known are used", "age", age, logging.Err, err)
}

// Forget makes the next look come first. Who wrote a change calls it when the commit has ended, well or not.
func (k *Keeper) Forget(changes ...action.Change) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range changes {
		if e := k.known[c.Instance]; e != nil && c.Kind == action.ChangeWebKeys {
			e.looked = time.Time{}
			e.wrote++
		}
	}
}

// since is an age by the wall clock, which a frozen process cannot make too small. After the clock was set back no age is known: then it is
// the greatest.
func since(t, now time.Time) time.Duration {
	if age := now.Round(0).Sub(t.Round(0)); age >= 0 {
		return age
	}
	return math.MaxInt64
}
