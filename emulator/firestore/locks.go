package firestore

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// How long one waits for a document that a transaction has read, and after which pause between its calls a transaction no longer keeps
// others waiting.
const (
	lockWait = 20 * time.Second
	lockIdle = time.Second
)

// locks lets transactions that read the same document go one after another instead of failing at their commits, and writes wait for
// them. They are advisory: whoever takes one away, or writes in spite of it, makes the holder's commit fail, never succeed wrongly.
type locks struct {
	mu     sync.Mutex
	byName map[documentName]*docLock
}

type docLock struct {
	name   documentName
	holder *transaction
	queue  []*waiter
}

// waiter is a transaction that wants the lock, or a write that waits for it to be free.
type waiter struct {
	tx    *transaction
	ready chan struct{}
}

func (l *locks) enter(tx *transaction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tx.busy++
}

func (l *locks) leave(tx *transaction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tx.busy--
	tx.used = time.Now()
}

// idle is how long no call of the transaction has been under way.
func (l *locks) idle(tx *transaction, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return tx.idle(now)
}

func (tx *transaction) idle(now time.Time) time.Duration {
	if tx.busy > 0 {
		return 0
	}
	return now.Sub(tx.used)
}

// acquire locks documents for a transaction, in one order for all, and says whether it had to wait for any.
func (l *locks) acquire(ctx context.Context, tx *transaction, names []documentName) (waited bool, err error) {
	for _, name := range sorted(names) {
		w, err := l.lock(ctx, tx, name)
		if err != nil {
			return waited, err
		}
		waited = waited || w
	}
	return waited, nil
}

// awaitLocks waits until no other transaction holds a document that is to be written.
func (s *Server) awaitLocks(ctx context.Context, tx *transaction, writes []*write) error {
	if s.transactions.locks.none() {
		return nil
	}
	names := make([]documentName, len(writes))
	for i, w := range writes {
		names[i] = nameOf(w.db, w.path)
	}
	for _, name := range sorted(names) {
		if _, err := s.transactions.locks.wait(ctx, tx, name); err != nil {
			return err
		}
	}
	return nil
}

func sorted(names []documentName) []documentName {
	return slices.SortedFunc(slices.Values(names), func(a, b documentName) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.db, b.db))
	})
}

func (l *locks) none() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.byName) == 0
}

// lock waits for the document and takes it.
func (l *locks) lock(ctx context.Context, tx *transaction, name documentName) (waited bool, err error) {
	return l.queue(ctx, tx, name, &waiter{tx: tx, ready: make(chan struct{})})
}

// wait waits for the document to be free, or held by tx, and does not take it.
func (l *locks) wait(ctx context.Context, tx *transaction, name documentName) (waited bool, err error) {
	l.mu.Lock()
	d := l.byName[name]
	free := d == nil || d.holder == nil || d.holder == tx
	l.mu.Unlock()
	if free {
		return false, nil
	}
	return l.queue(ctx, tx, name, &waiter{ready: make(chan struct{})})
}

func (l *locks) queue(ctx context.Context, tx *transaction, name documentName, w *waiter) (waited bool, err error) {
	l.mu.Lock()
	d := l.byName[name]
	if d == nil {
		d = &docLock{name: name}
		l.byName[name] = d
	}
	if d.holder == tx && tx != nil {
		l.mu.Unlock()
		return false, nil
	}
	d.queue = append(d.queue, w)
	l.pass(d)
	if tx != nil && !w.isReady() {
		if l.deadlocked(tx, d) {
			l.drop(d, w)
			l.mu.Unlock()
			return true, aborted("two transactions wait for each other; try again")
		}
		tx.waits = d
	}
	l.mu.Unlock()
	if w.isReady() {
		return false, nil
	}
	err = l.sit(ctx, d, w)
	l.mu.Lock()
	defer l.mu.Unlock()
	if tx != nil {
		tx.waits = nil
	}
	if err != nil && !w.isReady() {
		l.drop(d, w)
		return true, err
	}
	return true, nil
}

func (w *waiter) isReady() bool {
	select {
	case <-w.ready:
		return true
	default:
		return false
	}
}

// sit waits for the waiter's turn; meanwhile it takes the lock from a holder that has gone quiet.
func (l *locks) sit(ctx context.Context, d *docLock, w *waiter) error {
	end := time.NewTimer(lockWait)
	defer end.Stop()
	look := time.NewTicker(lockIdle / 4)
	defer look.Stop()
	for {
		select {
		case <-w.ready:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return aborted("the document is locked by another transaction; try again")
		case now := <-look.C:
			l.steal(d, now)
		}
	}
}

func (l *locks) steal(d *docLock, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := d.holder; h != nil && h.idle(now) >= lockIdle {
		delete(h.holds, d.name)
		d.holder = nil
		l.pass(d)
	}
}

// deadlocked says whether the holder of d waits, through others, for tx.
func (l *locks) deadlocked(tx *transaction, d *docLock) bool {
	for range len(l.byName) + 1 {
		if d == nil || d.holder == nil {
			return false
		}
		if d.holder == tx {
			return true
		}
		d = d.holder.waits
	}
	return false
}

// pass gives a free lock to whoever is first in its queue; writes, which only wait, go on together.
func (l *locks) pass(d *docLock) {
	for d.holder == nil && len(d.queue) > 0 {
		w := d.queue[0]
		d.queue = d.queue[1:]
		if w.tx != nil {
			d.holder = w.tx
			w.tx.holds[d.name] = d
		}
		close(w.ready)
	}
	if d.holder == nil && len(d.queue) == 0 {
		delete(l.byName, d.name)
	}
}

func (l *locks) drop(d *docLock, w *waiter) {
	d.queue = slices.DeleteFunc(d.queue, func(o *waiter) bool { return o == w })
	l.pass(d)
}

func (l *locks) releaseAll(tx *transaction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, d := range tx.holds {
		delete(tx.holds, name)
		d.holder = nil
		l.pass(d)
	}
}
