package firestore

import (
	"bytes"
	"context"
	"errors"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/proto"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/storage"
)

// Commit serves google.firestore.v1.Firestore/Commit.
func (s *Server) Commit(ctx context.Context, r *pb.CommitRequest) (*pb.CommitResponse, error) {
	db, err := resource.ParseDatabase(r.GetDatabase())
	if err != nil {
		return nil, invalid("%v", err)
	}
	if len(r.GetWrites()) > 0 && proto.Size(r) > maxCommitBytes {
		return nil, invalid("the commit is larger than %d bytes", maxCommitBytes)
	}
	writes, err := parseWrites(db, r.GetWrites())
	if err != nil {
		return nil, err
	}
	var tx *transaction
	if len(r.GetTransaction()) > 0 {
		if tx, err = s.transactions.take(db, r.GetTransaction()); err != nil {
			return nil, err
		}
		defer func() {
			if isDown(err) { // the client tries the same transaction again
				s.transactions.release(tx)
				return
			}
			s.transactions.end(tx)
		}()
		if tx.readOnly && len(writes) > 0 {
			return nil, invalid("the transaction is read-only")
		}
	}
	if err = s.awaitLocks(ctx, tx, writes); err != nil {
		return nil, err
	}
	done, err := s.commit(tx, writes)
	if err != nil {
		return nil, err
	}
	return &pb.CommitResponse{WriteResults: done.results, CommitTime: timestamp(done.time)}, nil
}

// committed is what a commit came to.
type committed struct {
	time    int64
	results []*pb.WriteResult
	changes []*change
	byName  map[string]*change // changes, by the full names of their documents
	writes  bool               // something was written
}

// change is what a commit makes of one document. Nil: there is none.
type change struct {
	db            resource.Database
	path          resource.Path
	before, after *document
}

func (c *change) changed() bool { return c.before != c.after }

// commit does all writes or none, and returns when they are on the disk. A hostile server may do otherwise, as the real one may.
func (s *Server) commit(tx *transaction, writes []*write) (*committed, error) {
	if err := s.hostile.beforeCommit(); err != nil {
		return nil, err
	}
	done, err := s.settle(tx, writes)
	if err != nil {
		return nil, err
	}
	if err := s.hostile.afterCommit(); err != nil {
		return nil, err
	}
	return done, nil
}

// settle is commit without faults, for the server's own work.
func (s *Server) settle(tx *transaction, writes []*write) (*committed, error) {
	done, pending, err := s.apply(tx, writes)
	if err != nil || !done.writes {
		// The answer follows from commits that may not be on the disk yet: "it is already there" is true only once they are.
		if lost := s.clock.await(s.clock.written.Load()); lost != nil {
			return nil, lost
		}
		if pending.generation != s.store.Generation() { // it followed from one that is gone
			return nil, storage.ErrUnavailable
		}
		return done, err
	}
	if err := pending.Wait(); err != nil {
		s.clock.isLost(done.time, err)
		return nil, err
	}
	s.clock.isDurable(done.time)
	s.changes.wake()
	return done, nil
}

// applied is a commit that is visible, if it wrote anything, and the generation of the store that it is of.
type applied struct {
	storage.Pending
	generation int64
}

// apply makes the writes visible, one commit at a time.
func (s *Server) apply(tx *transaction, writes []*write) (*committed, applied, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renew()
	in := applied{generation: s.generation}
	if tx != nil {
		if err := s.validate(tx); err != nil {
			return nil, in, err
		}
	}
	now := s.clock.start()
	defer s.clock.finish(now)
	done, err := s.evaluate(writes, now)
	if err != nil {
		return nil, in, err
	}
	b := s.store.NewBatchOf(in.generation)
	for _, c := range done.changes {
		if err := s.put(b, c, now); err != nil {
			return nil, in, err
		}
	}
	reserved := s.reserved
	if done.writes = b.Len() > 0; done.writes {
		reserved = s.reserveClock(b, now)
	}
	if in.Pending, err = s.store.Apply(b); err != nil {
		return nil, in, err
	}
	if s.reserved = reserved; done.writes {
		s.clock.written.Store(now)
	}
	s.changes.add(now, done.changes)
	return done, in, nil
}

// renew opens a store that failed afresh where that can be done, and notices if it was: commits that never became durable are gone, or
// have become durable after all, and none of what was remembered of them counts. The caller holds the commit lock.
func (s *Server) renew() {
	g := s.store.Revive()
	if g == s.generation {
		return
	}
	s.registry.forget()
	s.generation, s.reserved = g, 0
	last := s.clock.applied.Load()
	s.changes.doubt(last)
	s.clock.isDurable(last)
}

// evaluate finds out what the writes make of the documents they are for, in their order. Nothing is changed yet.
func (s *Server) evaluate(writes []*write, now int64) (*committed, error) {
	done := &committed{time: now, byName: make(map[string]*change, len(writes))}
	rewritten := 0
	for _, w := range writes {
		name := w.db.Name(w.path)
		c, err := s.changeFor(done, name, w)
		if err != nil {
			return nil, err
		}
		if err := w.require.check(name, c.after); err != nil {
			return nil, err
		}
		result := new(pb.WriteResult)
		again := c.changed()
		if !w.verify {
			if result.TransformResults, err = s.write(c, w, now); err != nil {
				return nil, err
			}
		}
		if again && c.after != nil && w.raw == nil && !w.verify {
			if rewritten += len(c.after.raw); rewritten > maxRewritten {
				return nil, invalid("the commit changes a large document too often")
			}
		}
		if c.after != nil {
			result.UpdateTime = timestamp(c.after.updated)
		}
		done.results = append(done.results, result)
	}
	return done, nil
}

// write makes c.after what the write says.
func (s *Server) write(c *change, w *write, now int64) ([]*pb.Value, error) {
	fields, raw, results, err := w.result(c.after, now)
	if err != nil {
		return nil, err
	}
	if fields == nil {
		c.after = nil
		return nil, nil
	}
	if err := checkSize(c.path, fields, raw); err != nil {
		return nil, err
	}
	after := &document{id: c.path.ID(), created: now, updated: now, raw: raw, parsed: fields}
	if old := c.after; old != nil {
		if bytes.Equal(old.raw, raw) {
			return results, nil // nothing changes, the update time neither
		}
		after.collection, after.created = old.collection, old.created
	}
	c.after = after
	return results, nil
}

// checkSize refuses what is over the limit; wire format is never four times smaller than the documented size.
func checkSize(path resource.Path, fields map[string]*pb.Value, raw []byte) error {
	if len(raw) < maxDocumentBytes/8 {
		return nil
	}
	if n := sizeOf(path, fields); n > maxDocumentBytes {
		return invalid("document %q is %d bytes; at most %d are allowed", path, n, maxDocumentBytes)
	}
	return nil
}

// changeFor finds the change of the write's document among those of the commit, or begins one from what is stored.
func (s *Server) changeFor(done *committed, name string, w *write) (*change, error) {
	if c := done.byName[name]; c != nil {
		return c, nil
	}
	d, err := s.load(s.store, w.db, w.path)
	if err != nil {
		return nil, err
	}
	c := &change{db: w.db, path: w.path, before: d, after: d}
	done.changes, done.byName[name] = append(done.changes, c), c
	return c, nil
}

// load reads one document; nil if there is none.
func (s *Server) load(g getter, db resource.Database, path resource.Path) (*document, error) {
	c, err := s.registry.find(g, db, path.Collection())
	if c == nil || err != nil {
		return nil, err
	}
	return loadFrom(g, c, path.ID())
}

func loadFrom(g getter, c *collection, id string) (*document, error) {
	b, err := g.Get(documentKey(c.number, id))
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeDocument(c, id, b)
}

// put adds to the batch what the change writes: the document, the entries that differ, and what the document was.
func (s *Server) put(b *storage.Batch, c *change, now int64) error {
	if !c.changed() {
		return nil
	}
	if c.after != nil && c.after.collection == nil {
		in, err := s.registry.register(s.store, s.generation, c.db, c.path.Collection())
		if err != nil {
			return err
		}
		c.after.collection = in
	}
	var old, fresh []entry
	var err error
	if c.before != nil {
		if old, err = s.schema.entries(c.before); err != nil {
			return err
		}
		if s.history > 0 {
			b.Set(historyKey(now, c.before.key()), c.before.encode())
		}
	}
	if c.after != nil {
		if fresh, err = s.schema.entries(c.after); err != nil {
			return err
		}
		if len(fresh) > maxEntries {
			return invalid("document %q has %d index entries; at most %d are allowed", c.path, len(fresh), maxEntries)
		}
		b.Set(c.after.key(), c.after.encode())
	} else {
		b.Delete(c.before.key())
	}
	putEntries(b, old, fresh)
	return nil
}

// putEntries writes the difference of two sets of entries. Keys say it all: what stands at the same key is the same.
func putEntries(b *storage.Batch, old, fresh []entry) {
	had := make(map[string]bool, len(old))
	for _, e := range old {
		had[string(e.key)] = true
	}
	for _, e := range fresh {
		if had[string(e.key)] {
			delete(had, string(e.key))
			continue
		}
		b.Set(e.key, e.value)
	}
	for k := range had {
		b.Delete([]byte(k))
	}
}
