package firestore

import (
	"sync"
	"time"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
)

// What the log of changes keeps while somebody wants it.
const (
	maxLogged      = 20_000
	maxLoggedBytes = 64 << 20
	maxLoggedAge   = 5 * time.Minute // longer than a transaction lives
)

// changeLog holds the latest commits for those who must know what happened since they looked: transactions, and listeners. While there
// are none it keeps nothing.
type changeLog struct {
	mu      sync.Mutex
	readers int
	records []record
	bytes   int
	floor   int64 // everything later than this is in records, while there are readers
	doubted int64 // what is not later may never have become durable
	waiters map[chan struct{}]bool
}

type record struct {
	time    int64
	changes []*change
	bytes   int
}

// open makes the log keep what is committed from now on; close must be called.
func (l *changeLog) open(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers == 0 {
		l.floor = now
	}
	l.readers++
}

func (l *changeLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers--; l.readers == 0 {
		l.records, l.bytes = nil, 0
	}
}

// add is called under the commit lock, in the order of commits.
func (l *changeLog) add(now int64, changes []*change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers == 0 {
		return
	}
	r := record{time: now}
	for _, c := range changes {
		if !c.changed() {
			continue
		}
		r.changes = append(r.changes, c)
		for _, d := range []*document{c.before, c.after} {
			if d != nil {
				r.bytes += len(d.raw)
			}
		}
	}
	if len(r.changes) == 0 {
		return
	}
	l.records = append(l.records, r)
	l.bytes += r.bytes
	for len(l.records) > maxLogged || l.bytes > maxLoggedBytes || now-l.records[0].time > maxLoggedAge.Microseconds() {
		l.floor = l.records[0].time
		l.bytes -= l.records[0].bytes
		l.records[0] = record{}
		l.records = l.records[1:]
	}
}

// since gives the commits later than a time, in their order; false where the log does not reach back so far.
func (l *changeLog) since(time int64) ([]record, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time < l.floor {
		return nil, false
	}
	i := len(l.records)
	for i > 0 && l.records[i-1].time > time {
		i--
	}
	return l.records[i:len(l.records):len(l.records)], true
}

// doubt says that commits up to a time may be gone: a transaction that one of them would fail still fails, but nobody is told of them.
func (l *changeLog) doubt(time int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubted = time
}

// certain is since for those who tell others; false also where some of the commits may be gone.
func (l *changeLog) certain(time int64) ([]record, bool) {
	records, ok := l.since(time)
	l.mu.Lock()
	defer l.mu.Unlock()
	return records, ok && time >= l.doubted
}

// wake tells those who wait that commits have become durable.
func (l *changeLog) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.waiters {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// watch gives a channel that gets a value after commits; stop ends it.
func (l *changeLog) watch() (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiters == nil {
		l.waiters = map[chan struct{}]bool{}
	}
	l.waiters[c] = true
	return c, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.waiters, c)
	}
}

// documentName is what two changes of one document have in common.
type documentName struct {
	db   resource.Database
	path string
}

func nameOf(db resource.Database, path resource.Path) documentName {
	return documentName{db, path.String()}
}
