package storage

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Get gives a copy of the value of key, or ErrNotFound.
func (s *Store) Get(key []byte) ([]byte, error) {
	db, err := s.use()
	if err != nil {
		return nil, err
	}
	defer s.done()
	return get(db, key)
}

func get(r pebble.Reader, key []byte) ([]byte, error) {
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("%w: get: %w", ErrUnavailable, err)
	}
	out := append([]byte(nil), value...)
	return out, closer.Close()
}

// Scan calls fn with each key in [lower, upper), in order or in reverse, until fn says false. The slices are valid only within fn.
func (s *Store) Scan(lower, upper []byte, reverse bool, fn func(key, value []byte) bool) error {
	snap := s.Snapshot()
	defer snap.Close()
	return snap.Scan(lower, upper, reverse, fn)
}

// Snapshot is the store at one moment. It must be closed, and soon: it keeps old versions alive, and a store that failed cannot be
// opened afresh while one is open.
type Snapshot struct {
	s    *Store
	snap *pebble.Snapshot // nil: there is none, because of err
	err  error
}

// Snapshot takes one. Of a closed store, its reads say so.
func (s *Store) Snapshot() *Snapshot {
	db, err := s.use()
	if err != nil {
		return &Snapshot{err: err}
	}
	return &Snapshot{s: s, snap: db.NewSnapshot()}
}

// Close ends the snapshot; a second Close does nothing.
func (n *Snapshot) Close() {
	if n.snap == nil {
		return
	}
	_ = n.snap.Close()
	n.snap, n.err = nil, errors.New("the snapshot is closed")
	n.s.done()
}

// Get gives a copy of the value of key, or ErrNotFound.
func (n *Snapshot) Get(key []byte) ([]byte, error) {
	if n.snap == nil {
		return nil, n.err
	}
	return get(n.snap, key)
}

// Scan is Store.Scan on the snapshot's moment.
func (n *Snapshot) Scan(lower, upper []byte, reverse bool, fn func(key, value []byte) bool) error {
	it, err := n.Iter(lower, upper)
	if err != nil {
		return err
	}
	defer it.Close()
	step, ok := it.Next, it.First()
	if reverse {
		step, ok = it.Prev, it.Last()
	}
	for ; ok && fn(it.Key(), it.Value()); ok = step() {
	}
	return it.Err()
}

// Iter is a cursor over the keys in [lower, upper). The methods that move it say whether it stands on a key.
type Iter struct{ it *pebble.Iterator }

// Iter makes a cursor, which must be closed before the snapshot. Empty bounds are open.
func (n *Snapshot) Iter(lower, upper []byte) (*Iter, error) {
	if n.snap == nil {
		return nil, n.err
	}
	if len(lower) == 0 {
		lower = nil // Pebble takes an empty bound for a key to seek
	}
	if len(upper) == 0 {
		upper = nil
	}
	it, err := n.snap.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, fmt.Errorf("%w: iterate: %w", ErrUnavailable, err)
	}
	return &Iter{it}, nil
}

// First moves to the first key.
func (i *Iter) First() bool { return i.it.First() }

// Last moves to the last key.
func (i *Iter) Last() bool { return i.it.Last() }

// Next moves to the following key.
func (i *Iter) Next() bool { return i.it.Next() }

// Prev moves to the key before.
func (i *Iter) Prev() bool { return i.it.Prev() }

// SeekGE moves to the first key at or after key.
func (i *Iter) SeekGE(key []byte) bool { return i.it.SeekGE(key) }

// SeekLT moves to the last key before key.
func (i *Iter) SeekLT(key []byte) bool { return i.it.SeekLT(key) }

// Key is the key it stands on, valid until the next move.
func (i *Iter) Key() []byte { return i.it.Key() }

// Value is the value it stands on, valid until the next move.
func (i *Iter) Value() []byte { return i.it.Value() }

// Err is what ended the iteration early, nil at its end.
func (i *Iter) Err() error {
	if err := i.it.Error(); err != nil {
		return fmt.Errorf("%w: iterate: %w", ErrUnavailable, err)
	}
	return nil
}

// Close ends the iterator.
func (i *Iter) Close() { _ = i.it.Close() }
