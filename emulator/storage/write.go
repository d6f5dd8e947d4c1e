package storage

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Batch is a set of writes that become visible and durable together. It is used by one goroutine, for one commit.
type Batch struct {
	b          pebble.Batch
	s          *Store
	generation int64 // what it follows from was read in it; anyGeneration: it follows from nothing
}

const anyGeneration = -1

// NewBatch makes an empty batch.
func (s *Store) NewBatch() *Batch { return &Batch{s: s, generation: anyGeneration} }

// NewBatchOf makes an empty batch that follows from what was read in a generation. If the store is opened afresh before the batch is
// applied, it is refused with ErrUnavailable: what it follows from may be gone.
func (s *Store) NewBatchOf(generation int64) *Batch { return &Batch{s: s, generation: generation} }

// Set puts a copy of value at key.
func (b *Batch) Set(key, value []byte) { _ = b.b.Set(key, value, nil) }

// Delete removes key; it need not be there.
func (b *Batch) Delete(key []byte) { _ = b.b.Delete(key, nil) }

// DeleteRange removes every key in [lower, upper).
func (b *Batch) DeleteRange(lower, upper []byte) { _ = b.b.DeleteRange(lower, upper, nil) }

// Len is how many operations the batch holds.
func (b *Batch) Len() int { return int(b.b.Count()) }

// Size is how many bytes the batch takes in the log.
func (b *Batch) Size() int { return b.b.Len() }

// Commit applies the batch. When it returns nil the batch is durable; concurrent commits share a sync. When it returns an error, which
// wraps ErrFull or ErrUnavailable, the batch may or may not be there, whole, after the store is opened again.
func (s *Store) Commit(b *Batch) error {
	pending, err := s.Apply(b)
	if err != nil {
		return err
	}
	return pending.Wait()
}

// CommitUnsynced applies the batch without waiting for the disk: for what may be redone after a crash. Batches reach the disk in the order
// in which they were applied, so a later synced commit makes this one durable too.
func (s *Store) CommitUnsynced(b *Batch) error {
	if b.Len() == 0 {
		return nil
	}
	err := s.apply(b, func(db *pebble.DB) error { return db.Apply(&b.b, pebble.NoSync) })
	if err != nil {
		return err
	}
	s.done()
	return s.health.fatal()
}

// Pending is a batch that is visible and not yet known to be durable. Wait must be called, once.
type Pending struct{ b *Batch }

// Apply makes the batch visible and starts to make it durable. Callers that order their batches by a lock call Apply under it and Wait
// outside, and so share syncs.
func (s *Store) Apply(b *Batch) (Pending, error) {
	if b.Len() == 0 {
		return Pending{}, nil
	}
	err := s.apply(b, func(db *pebble.DB) error { return db.ApplyNoSyncWait(&b.b, pebble.Sync) })
	if err != nil {
		return Pending{}, err
	}
	return Pending{b}, nil
}

// Wait returns nil once the batch is durable, else an error as Commit's.
func (p Pending) Wait() error {
	if p.b == nil {
		return nil
	}
	s := p.b.s
	defer s.done()
	if err := p.b.b.SyncWait(); err != nil {
		return s.health.fail(fmt.Errorf("sync: %w", err))
	}
	if err := s.health.fatal(); err != nil { // the shield keeps this from Pebble
		return err
	}
	s.synced.Add(1)
	return nil
}

// apply runs one application of b and finds out whether Pebble took it; if it did, b owes a call of done.
func (s *Store) apply(b *Batch, do func(*pebble.DB) error) error {
	if err := s.revive(); err != nil {
		return err
	}
	if err := s.room(b.Size()); err != nil {
		return err
	}
	db, err := s.use()
	if err != nil {
		return err
	}
	if b.generation != anyGeneration && b.generation != s.Generation() { // it does not move while the database is in use
		s.done()
		return fmt.Errorf("%w: opened afresh meanwhile", ErrUnavailable)
	}
	if err := s.enter(db, do); err != nil {
		s.done()
		return err
	}
	s.commits.Add(1)
	return nil
}

// enter lets one batch at a time into Pebble, and none after a failure.
func (s *Store) enter(db *pebble.DB, do func(*pebble.DB) error) (err error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	if err := s.health.writable(); err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.poisoned = true
			cause, ok := r.(error)
			if !ok {
				cause = fmt.Errorf("%v", r)
			}
			err = s.health.fail(fmt.Errorf("apply: %w", cause))
		}
	}()
	if err := do(db); err != nil {
		return s.health.fail(fmt.Errorf("apply: %w", err))
	}
	return nil
}
