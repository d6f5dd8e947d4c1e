// Package firestore is Firestore in one process: google.firestore.v1 over gRPC, as the official clients speak it, durable on the store
// of emulator/storage. It is a database of its own right, not a test double: what it acknowledged survives a power cut.
//
// How it is built. A commit takes one lock, reads the documents it is for, checks its conditions, and gives the store one batch:
// documents, the index entries that differ, and what the documents were. It waits for the disk outside of the lock, so that concurrent
// commits share a sync. Reads take a snapshot and no lock. Queries walk indexes (plan.go) and ask the whole condition of each document
// again where an index does not prove it. Transactions are optimistic: a commit checks that all that was read is still so.
package firestore

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"

	"github.com/callout-dev/callout/emulator/storage"
)

// Options are what a Server needs. Store must be given.
type Options struct {
	Store   *storage.Store
	Indexes *Indexes      // nil: the automatic ones alone
	Strict  bool          // refuse queries that production refuses for want of an index
	History time.Duration // how long old versions are kept for reads in the past; 0: no reads in the past
	Hostile *Hostile      // nil: no faults are made
	Log     *slog.Logger  // nil: nothing is logged
}

// Server serves google.firestore.v1.Firestore. Make one with New.
type Server struct {
	pb.UnimplementedFirestoreServer

	store    *storage.Store
	schema   *schema
	strict   bool
	history  time.Duration
	hostile  *hostile
	log      *slog.Logger
	registry *registry
	clock    clock
	changes  changeLog
	counts   counts

	transactions transactions

	mu         sync.Mutex // one commit at a time, until it is visible
	generation int64      // of the store, as last seen
	reserved   int64      // commits may go up to this time without saying so on the disk again

	stop     context.CancelFunc
	stopped  context.Context
	finished sync.WaitGroup
}

// New makes a server on a store, which it does not close. Where the indexes are not those the store has entries for, the entries are
// made afresh first.
func New(o Options) (*Server, error) {
	if o.Store == nil {
		return nil, errors.New("new firestore server: no store")
	}
	if o.Indexes == nil {
		o.Indexes = new(Indexes)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	schema, err := newSchema(o.Indexes)
	if err != nil {
		return nil, err
	}
	s := &Server{
		store: o.Store, schema: schema, strict: o.Strict, history: o.History,
		hostile: newHostile(o.Hostile), log: o.Log, registry: newRegistry(), generation: o.Store.Generation(),
	}
	s.transactions = transactions{
		byID: map[string]*transaction{}, changes: &s.changes, locks: &locks{byName: map[documentName]*docLock{}},
	}
	if err := s.restoreClock(); err != nil {
		return nil, err
	}
	if err := s.reindex(o.Indexes); err != nil {
		return nil, err
	}
	s.stopped, s.stop = context.WithCancel(context.Background())
	s.finished.Go(s.housekeep)
	return s, nil
}

// Close ends background work, listeners and transactions. Calls under way should have ended: stop the gRPC server first.
func (s *Server) Close() {
	s.stop()
	s.finished.Wait()
	s.transactions.expire(time.Now(), true)
	if err := s.returnClock(); err != nil {
		s.log.Warn("firestore: the clock was not saved and may run a second ahead after the next start", "error", err)
	}
}

// Register adds the service to a gRPC server. Messages may be as large as a commit, 10 MiB: make the server with
// grpc.MaxRecvMsgSize(11 << 20).
func (s *Server) Register(r grpc.ServiceRegistrar) {
	d := s.guarded(pb.Firestore_ServiceDesc)
	r.RegisterService(&d, pb.FirestoreServer(s))
}
