package firestore

import (
	"context"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/firestore/internal/value"
)

// view is what one call reads: the database at one time, on behalf of a transaction or of nobody.
type view struct {
	s      *Server
	moment moment
	shared bool // the moment is the transaction's
	time   int64
	past   map[string]*document // of a time that has passed: what has changed since, by key; nil where there was no document
	tx     *transaction
	begun  bool // the call began tx
}

// selector is what requests say of the state they want to read.
type selector struct {
	transaction []byte
	begin       *pb.TransactionOptions
	readTime    *timestamppb.Timestamp
}

// view opens what a call reads; close must be called.
func (s *Server) view(db resource.Database, sel selector) (*view, error) {
	v := &view{s: s}
	var at int64
	switch {
	case len(sel.transaction) > 0:
		tx, err := s.transactions.take(db, sel.transaction)
		if err != nil {
			return nil, err
		}
		v.tx, at = tx, tx.readTime
	case sel.begin != nil:
		tx, err := s.begin(db, sel.begin)
		if err != nil {
			return nil, err
		}
		if v.tx, err = s.transactions.take(db, []byte(tx.id)); err != nil {
			return nil, err
		}
		v.begun, at = true, tx.readTime
	case sel.readTime != nil:
		at = value.Micros(sel.readTime)
		if err := s.checkReadTime(at); err != nil {
			return nil, err
		}
	}
	if err := v.open(at); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

func (v *view) open(at int64) error {
	if tx := v.tx; tx != nil && tx.readOnly {
		if tx.moment == nil {
			m := v.s.now()
			tx.moment = &m
		}
		v.moment, v.shared = *tx.moment, true
	} else {
		v.moment = v.s.now()
	}
	v.time = v.moment.time
	if at != 0 && at < v.time {
		v.time = at
		return v.openPast()
	}
	return nil
}

// refresh moves a view to now; what a transaction waited for may have changed.
func (v *view) refresh() {
	if v.shared || v.past != nil {
		return
	}
	v.moment.Close()
	v.moment = v.s.now()
	v.time = v.moment.time
}

// openPast gathers what the history has of commits after the view's time.
func (v *view) openPast() error {
	v.past = map[string]*document{}
	var failed error
	err := v.moment.Scan(historyKey(v.time+1, nil), []byte{service, historyKind + 1}, false, func(key, b []byte) bool {
		_, k, err := cutTimed(key)
		if err != nil {
			failed = err
			return false
		}
		if _, ok := v.past[string(k)]; ok {
			return true // a later commit
		}
		c, id, err := v.s.registry.locate(v.moment, k)
		if err != nil {
			failed = err
			return false
		}
		d, err := decodeDocument(c, id, append([]byte(nil), b...))
		if err != nil {
			failed = err
			return false
		}
		if d.updated > v.time {
			d = nil
		}
		v.past[string(k)] = d
		return true
	})
	if failed != nil {
		return failed
	}
	return err
}

func (v *view) close() {
	if !v.shared {
		v.moment.Close()
	}
	if v.tx != nil {
		v.s.transactions.release(v.tx)
	}
}

// leave lets a read-write transaction go on to its next call: what remains of this one is to send, and its client may be slow.
func (v *view) leave() {
	if v.tx != nil && !v.tx.readOnly {
		v.s.transactions.release(v.tx)
		v.tx, v.begun = nil, false
	}
}

// abandon closes a view whose call failed, and ends the transaction that the call began: nobody knows its name.
func (v *view) abandon() {
	if v.begun {
		v.s.transactions.finish(v.tx)
	}
	v.close()
}

// get reads a document, nil if there is none, and waits until what it read is on the disk.
func (v *view) get(c *collection, id string) (*document, error) {
	if v.past != nil {
		if d, ok := v.past[string(documentKey(c.number, id))]; ok {
			return d, nil
		}
	}
	d, err := loadFrom(v.moment, c, id)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, v.s.clock.await(v.s.clock.written.Load()) // its deletion may not be on the disk yet
	}
	if d.updated > v.time {
		return nil, nil // a view of the past, and the document is younger
	}
	return d, v.s.clock.await(d.updated)
}

// find reads a document by its path.
func (v *view) find(db resource.Database, path resource.Path) (*document, error) {
	c, err := v.s.registry.find(v.moment, db, path.Collection())
	if c == nil || err != nil {
		return nil, err
	}
	return v.get(c, path.ID())
}

// lock makes the transaction, if it is a read-write one, hold the documents that it is about to read.
func (v *view) lock(ctx context.Context, names []documentName) (waited bool, err error) {
	if v.tx == nil || v.tx.readOnly {
		return false, nil
	}
	return v.s.transactions.locks.acquire(ctx, v.tx, names)
}

// saw remembers reads of a read-write transaction.
func (v *view) saw(name documentName, d *document) error {
	if v.tx == nil || v.tx.readOnly {
		return nil
	}
	return v.tx.saw(name, d)
}

// consistent fails a transaction that has read what is no longer so at the time of the view.
func (v *view) consistent() error {
	if v.tx == nil || v.tx.readOnly {
		return nil
	}
	return v.s.validateUntil(v.tx, v.time)
}

// transactionID is what the first answer of a call that began a transaction says.
func (v *view) transactionID() []byte {
	if !v.begun {
		return nil
	}
	return []byte(v.tx.id)
}

// checkReadTime lets through what the history still has.
func (s *Server) checkReadTime(micros int64) error {
	now := max(time.Now().UnixMicro(), s.clock.applied.Load())
	switch {
	case micros > now:
		return invalid("read_time is in the future")
	case s.history == 0 && micros < s.clock.applied.Load() || micros < now-(s.history+housekeeping).Microseconds():
		return status.Errorf(codes.FailedPrecondition, "read_time is too old: %v of history are kept", s.history)
	}
	return nil
}
