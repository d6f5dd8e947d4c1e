package firestore

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/callout-dev/callout/emulator/storage"
)

// reindexBytes is how large a batch of fresh entries grows before it is written.
const reindexBytes = 1 << 20

// reindex makes all entries afresh where the store's are of other indexes. Interrupted, it begins again at the next start, because what
// the store is of is written last.
func (s *Server) reindex(x *Indexes) error {
	want := x.fingerprint()
	have, err := s.store.Get(metaKey("indexes"))
	switch {
	case errors.Is(err, storage.ErrNotFound):
	case err != nil:
		return fmt.Errorf("reindex: %w", err)
	case bytes.Equal(want, have):
		return nil
	default:
		s.log.Info("firestore: the indexes were changed; their entries are made afresh")
	}
	b := s.store.NewBatch()
	b.Delete(metaKey("indexes"))
	for _, kind := range []byte{automaticKind, compositeKind, expiryKind} {
		b.DeleteRange([]byte{service, kind}, []byte{service, kind + 1})
	}
	if err := s.store.Commit(b); err != nil {
		return fmt.Errorf("reindex: %w", err)
	}
	if err := s.addEntries(); err != nil {
		return fmt.Errorf("reindex: %w", err)
	}
	b = s.store.NewBatch()
	b.Set(metaKey("indexes"), want)
	if err := s.store.Commit(b); err != nil {
		return fmt.Errorf("reindex: %w", err)
	}
	return nil
}

// addEntries writes the entries of every document.
func (s *Server) addEntries() error {
	snap := s.store.Snapshot()
	defer snap.Close()
	b := s.store.NewBatch()
	var failed error
	err := snap.Scan([]byte{service, documentKind}, []byte{service, documentKind + 1}, false, func(key, v []byte) bool {
		failed = s.addEntriesOf(snap, b, key, v)
		if failed == nil && b.Size() >= reindexBytes {
			failed = s.store.CommitUnsynced(b)
			b = s.store.NewBatch()
		}
		return failed == nil
	})
	if err := errors.Join(failed, err); err != nil {
		return err
	}
	return s.store.CommitUnsynced(b)
}

func (s *Server) addEntriesOf(g getter, b *storage.Batch, key, v []byte) error {
	c, id, err := s.registry.locate(g, key)
	if err != nil {
		return err
	}
	d, err := decodeDocument(c, id, v)
	if err != nil {
		return err
	}
	entries, err := s.schema.entries(d)
	if err != nil {
		return err
	}
	putEntries(b, nil, entries)
	return nil
}
