package firestore

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/firestore/internal/value"
	"github.com/callout-dev/callout/emulator/storage"
)

const (
	housekeeping = 5 * time.Second // between two rounds of background work
	expireBatch  = 200             // documents that one commit of background work removes
)

// housekeep removes what has expired, forgets old versions and ends transactions that nobody uses, until the server closes.
func (s *Server) housekeep() {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		select {
		case <-s.stopped.Done():
			return
		case now := <-tick.C:
			s.transactions.expire(now, false)
			s.revive()
			for _, do := range []func(time.Time) error{s.expireDocuments, s.forgetHistory} {
				if err := do(now); err != nil {
					s.log.Warn("firestore: background work failed and will be tried again", "error", err)
				}
			}
		}
	}
}

// revive makes a store that failed serve again where nobody writes: reads of what was lost wait for it.
func (s *Server) revive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renew()
}

// expireDocuments removes the documents whose time has come, a batch at a time.
func (s *Server) expireDocuments(now time.Time) error {
	if !s.schema.expires() {
		return nil
	}
	for s.stopped.Err() == nil {
		due, err := s.due(now.UnixMicro())
		if err != nil || len(due) == 0 {
			return err
		}
		n, err := s.removeDue(due, now.UnixMicro())
		if err != nil {
			return err
		}
		s.counts.mu.Lock()
		s.counts.expired += int64(n)
		s.counts.mu.Unlock()
		if len(due) < expireBatch {
			return nil
		}
	}
	return nil
}

// due gives the keys of some documents that have expired.
func (s *Server) due(now int64) ([][]byte, error) {
	var keys [][]byte
	var failed error
	err := s.store.Scan([]byte{service, expiryKind}, expiryKey(now+1, nil), false, func(key, _ []byte) bool {
		_, k, err := cutTimed(key)
		failed = errors.Join(failed, err)
		keys = append(keys, k)
		return len(keys) < expireBatch
	})
	return keys, errors.Join(failed, err)
}

// removeDue removes documents unless somebody has changed them meanwhile.
func (s *Server) removeDue(keys [][]byte, now int64) (int, error) {
	var writes []*write
	for _, k := range keys {
		c, id, err := s.registry.locate(s.store, k)
		if err != nil {
			return 0, err
		}
		d, err := loadFrom(s.store, c, id)
		if err != nil {
			return 0, err
		}
		if expired, err := s.schema.expired(d, now); !expired || err != nil {
			if err != nil {
				return 0, err
			}
			continue
		}
		writes = append(writes, &write{db: c.db, path: d.path(), remove: true, require: precondition{updated: &d.updated}})
	}
	if _, err := s.settle(nil, writes); err != nil {
		for _, w := range writes { // one of them was changed: the others go one by one
			if _, err := s.settle(nil, []*write{w}); isDown(err) {
				return 0, err
			}
		}
	}
	return len(writes), nil
}

func isDown(err error) bool {
	return errors.Is(err, storage.ErrFull) || errors.Is(err, storage.ErrUnavailable)
}

func (s *schema) expires() bool {
	for _, g := range s.groups {
		if len(g.ttl) > 0 {
			return true
		}
	}
	return false
}

// expired says whether a field that ends documents of this collection has a time that has come.
func (s *schema) expired(d *document, now int64) (bool, error) {
	if d == nil {
		return false, nil
	}
	fields, err := d.fields()
	if err != nil {
		return false, err
	}
	for _, p := range s.of(d.collection.id()).ttl {
		if t, ok := lookup(fields, p).GetValueType().(*pb.Value_TimestampValue); ok && value.Micros(t.TimestampValue) <= now {
			return true, nil
		}
	}
	return false, nil
}

// forgetHistory drops the versions that no read may ask for any more. It writes only where there are any: an idle server leaves the disk
// alone.
func (s *Server) forgetHistory(now time.Time) error {
	from, to := []byte{service, historyKind}, historyKey(now.Add(-s.history-2*housekeeping).UnixMicro(), nil)
	any := false
	err := s.store.Scan(from, to, false, func(_, _ []byte) bool { any = true; return false })
	if err != nil || !any {
		return err
	}
	b := s.store.NewBatch()
	b.DeleteRange(from, to)
	return s.store.CommitUnsynced(b)
}

// clockLease is how far ahead of a commit the clock is reserved on the disk: one key more in one commit a second. After a crash the
// clock runs ahead by as much at the most.
const clockLease = time.Second

// reserveClock puts into a commit's batch, if its time is beyond what is reserved, the time up to which commits may now go. It keeps
// commits in the order of their times when the machine's clock is set back between two runs: no commit is later than what the store says
// it may be. It gives what is reserved once the batch is applied. The caller holds the commit lock.
func (s *Server) reserveClock(b *storage.Batch, now int64) int64 {
	if now <= s.reserved {
		return s.reserved
	}
	until := now + clockLease.Microseconds()
	b.Set(metaKey("clock"), binary.BigEndian.AppendUint64(nil, uint64(until)))
	return until
}

// returnClock gives back, at a clean end, what was reserved and not used.
func (s *Server) returnClock() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reserved == 0 {
		return nil
	}
	s.reserved = 0
	b := s.store.NewBatch()
	b.Set(metaKey("clock"), binary.BigEndian.AppendUint64(nil, uint64(s.clock.written.Load())))
	return s.store.Commit(b)
}

func (s *Server) restoreClock() error {
	at := time.Now().UnixMicro() - 1
	v, err := s.store.Get(metaKey("clock"))
	switch {
	case errors.Is(err, storage.ErrNotFound):
	case err != nil:
		return err
	case len(v) != 8:
		return errors.New("open firestore: the saved clock is damaged")
	default:
		at = max(at, int64(binary.BigEndian.Uint64(v)))
	}
	s.clock.applied.Store(at)
	s.clock.started.Store(at)
	s.clock.durable = at // all that a store has when it is opened is on the disk
	return nil
}

// Clear removes every document of a database, given as projects/{project}/databases/{database}, and what is remembered of them.
// Listeners see the documents go.
func (s *Server) Clear(ctx context.Context, database string) error {
	db, err := resource.ParseDatabase(database)
	if err != nil {
		return invalid("%v", err)
	}
	for ctx.Err() == nil {
		writes, err := s.some(db)
		if err != nil {
			return s.fail(ctx, err)
		}
		if len(writes) == 0 {
			return nil
		}
		if _, err := s.settle(nil, writes); err != nil {
			return s.fail(ctx, err)
		}
	}
	return s.fail(ctx, ctx.Err())
}

// some gives deletions of some documents of a database.
func (s *Server) some(db resource.Database) ([]*write, error) {
	m := s.now()
	defer m.Close()
	var writes []*write
	var failed error
	prefix := pathKey(db, nil)
	err := m.Scan(prefix, successor(prefix), false, func(_, number []byte) bool {
		c, err := s.registry.numbered(m, binary.BigEndian.Uint32(number))
		if err != nil {
			failed = err
			return false
		}
		docs := numberKey(documentKind, c.number)
		failed = m.Scan(docs, successor(docs), false, func(key, _ []byte) bool {
			id, _, err := resource.CutSegment(key[documentKeyHead:])
			if err != nil {
				failed = err
				return false
			}
			writes = append(writes, &write{db: db, path: c.path.Child(id), remove: true})
			return len(writes) < expireBatch
		})
		return failed == nil && len(writes) < expireBatch
	})
	return writes, errors.Join(failed, err)
}
