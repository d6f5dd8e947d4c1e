package firestore

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/firestore/internal/value"
)

// How long a transaction may live, and how long between two of its calls; the documented limits.
const (
	transactionAge  = 270 * time.Second
	transactionIdle = 60 * time.Second
)

// transaction is one that runs. A read-write one remembers which versions it read and which queries it ran; its commit succeeds only if
// all of that still holds, so committed transactions are serialisable in the order of their commits. The locks it holds on documents it
// read (locks.go) only keep others from work in vain; taking one away breaks nothing.
type transaction struct {
	id       string
	db       resource.Database
	readOnly bool
	readTime int64 // of a read-only one that named it, else 0
	begun    time.Time

	mu      sync.Mutex // held during each of its calls
	ended   bool
	checked int64                  // what it read was true at this time
	reads   map[documentName]int64 // version read, 0: there was none
	queries []*query
	moment  *moment // of a read-only one, from its first read on

	used  time.Time // guarded by locks.mu, as what follows
	busy  int       // calls under way
	holds map[documentName]*docLock
	waits *docLock
}

type transactions struct {
	mu      sync.Mutex
	byID    map[string]*transaction
	changes *changeLog
	locks   *locks
}

// BeginTransaction serves google.firestore.v1.Firestore/BeginTransaction.
func (s *Server) BeginTransaction(_ context.Context, r *pb.BeginTransactionRequest) (*pb.BeginTransactionResponse, error) {
	db, err := resource.ParseDatabase(r.GetDatabase())
	if err != nil {
		return nil, invalid("%v", err)
	}
	tx, err := s.begin(db, r.GetOptions())
	if err != nil {
		return nil, err
	}
	return &pb.BeginTransactionResponse{Transaction: []byte(tx.id)}, nil
}

func (s *Server) begin(db resource.Database, o *pb.TransactionOptions) (*transaction, error) {
	now := time.Now()
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	tx := &transaction{
		id: string(id), db: db, begun: now, used: now,
		reads: map[documentName]int64{}, holds: map[documentName]*docLock{},
	}
	if ro := o.GetReadOnly(); ro != nil {
		tx.readOnly = true
		if t := ro.GetReadTime(); t != nil {
			tx.readTime = value.Micros(t)
			if err := s.checkReadTime(tx.readTime); err != nil {
				return nil, err
			}
		}
	}
	if retry := o.GetReadWrite().GetRetryTransaction(); len(retry) > 0 {
		if old, err := s.transactions.take(db, retry); err == nil {
			s.transactions.end(old)
		}
	}
	if !tx.readOnly {
		s.changes.open(s.clock.applied.Load())
		tx.checked = s.clock.applied.Load()
	}
	if !s.transactions.add(tx) {
		if !tx.readOnly {
			s.changes.close()
		}
		return nil, status.Errorf(codes.ResourceExhausted, "more than %d transactions are open", maxTransactions)
	}
	return tx, nil
}

// add says whether there is room for one more.
func (t *transactions) add(tx *transaction) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.byID) >= maxTransactions {
		return false
	}
	t.byID[tx.id] = tx
	return true
}

// Rollback serves google.firestore.v1.Firestore/Rollback.
func (s *Server) Rollback(_ context.Context, r *pb.RollbackRequest) (*emptypb.Empty, error) {
	db, err := resource.ParseDatabase(r.GetDatabase())
	if err != nil {
		return nil, invalid("%v", err)
	}
	tx, err := s.transactions.take(db, r.GetTransaction())
	if err != nil {
		return nil, err
	}
	s.transactions.end(tx)
	return new(emptypb.Empty), nil
}

// take gives a transaction to one call, which must give it back by release or end.
func (t *transactions) take(db resource.Database, id []byte) (*transaction, error) {
	t.mu.Lock()
	tx := t.byID[string(id)]
	t.mu.Unlock()
	gone := status.Error(codes.InvalidArgument, "the referenced transaction has expired or is no longer valid")
	if tx == nil {
		return nil, gone
	}
	if tx.db != db {
		return nil, invalid("the transaction is of another database")
	}
	t.locks.enter(tx)
	tx.mu.Lock()
	if tx.ended {
		tx.mu.Unlock()
		t.locks.leave(tx)
		return nil, gone
	}
	return tx, nil
}

func (t *transactions) release(tx *transaction) {
	tx.mu.Unlock()
	t.locks.leave(tx)
}

// end finishes a transaction that the caller has taken.
func (t *transactions) end(tx *transaction) {
	t.finish(tx)
	t.release(tx)
}

// finish gives free what the transaction holds. Its mu is held.
func (t *transactions) finish(tx *transaction) {
	if tx.ended {
		return
	}
	tx.ended = true
	t.mu.Lock()
	delete(t.byID, tx.id)
	t.mu.Unlock()
	t.locks.releaseAll(tx)
	if tx.moment != nil {
		tx.moment.Close()
		tx.moment = nil
	}
	if !tx.readOnly {
		t.changes.close()
	}
}

// expire ends the transactions that live too long; all of them where that is everything. One that is in the middle of a call loses its
// locks, and ends later.
func (t *transactions) expire(now time.Time, everything bool) {
	t.mu.Lock()
	var old []*transaction
	for _, tx := range t.byID {
		if everything || now.Sub(tx.begun) > transactionAge || t.locks.idle(tx, now) > transactionIdle {
			old = append(old, tx)
		}
	}
	t.mu.Unlock()
	for _, tx := range old {
		if everything {
			tx.mu.Lock()
		} else if !tx.mu.TryLock() { // a call of it is under way, perhaps one whose client does not read: the next round
			t.locks.releaseAll(tx)
			continue
		}
		t.finish(tx)
		tx.mu.Unlock()
	}
}

// saw remembers what a read of the transaction found. A document that it saw otherwise before has changed.
func (tx *transaction) saw(name documentName, d *document) error {
	var version int64
	if d != nil {
		version = d.updated
	}
	if before, ok := tx.reads[name]; ok && before != version {
		return aborted("a document that the transaction has read was changed")
	}
	tx.reads[name] = version
	return nil
}

// validate says whether all that the transaction read is still so. It is called under the commit lock, and by reads, so that a
// transaction never sees two moments.
func (s *Server) validate(tx *transaction) error {
	if tx.readOnly {
		return nil
	}
	return s.validateUntil(tx, s.clock.applied.Load())
}

func (s *Server) validateUntil(tx *transaction, now int64) error {
	records, ok := s.changes.since(tx.checked)
	if !ok {
		return aborted("the transaction is too old for what was written since")
	}
	for _, r := range records {
		if r.time > now {
			break
		}
		for _, c := range r.changes {
			if err := tx.conflicts(c); err != nil {
				return err
			}
		}
	}
	tx.checked = max(tx.checked, now)
	return nil
}

func (tx *transaction) conflicts(c *change) error {
	if _, ok := tx.reads[nameOf(c.db, c.path)]; ok {
		return aborted("a document that the transaction has read was changed")
	}
	for _, q := range tx.queries {
		for _, d := range []*document{c.before, c.after} {
			if d == nil {
				continue
			}
			if hit, err := q.matches(d); hit || err != nil {
				return aborted("the result of a query of the transaction was changed")
			}
		}
	}
	return nil
}
