package firestore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/anishathalye/porcupine"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
)

const registers = 3

// operation reads some registers and writes others, all at once.
type operation struct {
	reads  []int
	writes map[int]int64
}

// outcome is what the reads gave. Unknown: the commit may have been applied or not.
type outcome struct {
	values  []int64
	unknown bool
}

// model is what registers are, if transactions happen one by one at some moment between their call and their return.
func model() porcupine.Model {
	return (&porcupine.NondeterministicModel{
		Init: func() []any { return []any{[registers]int64{}} },
		Step: func(state, input, output any) []any {
			s, in, out := state.([registers]int64), input.(operation), output.(outcome)
			for i, r := range in.reads {
				if !out.unknown && s[r] != out.values[i] {
					return nil
				}
			}
			next := s
			for r, v := range in.writes {
				next[r] = v
			}
			if out.unknown {
				return []any{s, next}
			}
			return []any{next}
		},
		Equal: func(a, b any) bool { return a == b },
	}).ToModel()
}

// TestTransactionsAreLinearizable runs random transactions at once, with and without faults, and asks whether some order explains what
// they saw.
func TestTransactionsAreLinearizable(t *testing.T) {
	tests := map[string]*Hostile{
		"calm":    nil,
		"hostile": {Seed: 5, Abort: 0.1, Before: 0.1, After: 0.1},
	}
	for name, h := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, Options{Hostile: h, History: time.Minute})
			var mu sync.Mutex
			var history []porcupine.Operation
			start := time.Now()
			var wg sync.WaitGroup
			for client := range 6 {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(client), 3))
					for n := range 40 {
						op := operation{writes: map[int]int64{}}
						for r := range registers {
							if rng.IntN(2) == 0 {
								op.reads = append(op.reads, r)
							}
							if rng.IntN(3) == 0 {
								op.writes[r] = int64(client*1000 + n + 1)
							}
						}
						call := time.Since(start)
						out, done := s.try(op, rng.IntN(3) == 0)
						if !done {
							continue
						}
						mu.Lock()
						history = append(history, porcupine.Operation{ClientId: client, Input: op, Call: int64(call), Output: out, Return: int64(time.Since(start))})
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			for i, o := range history { // nobody knows when the lost ones happened
				if o.Output.(outcome).unknown {
					history[i].Return = int64(time.Since(start))
				}
			}
			if len(history) < 50 {
				t.Errorf("only %d transactions came through", len(history))
			}
			if got := porcupine.CheckOperationsTimeout(model(), history, 20*time.Second); got != porcupine.Ok {
				t.Errorf("%d transactions: %v", len(history), got)
			}
			checkEntries(t, s)
		})
	}
}

func register(r int) string { return fmt.Sprintf("registers/%d", r) }

// try runs one transaction; false: it surely did nothing. By query, it reads all registers with one query.
func (s *Server) try(op operation, byQuery bool) (outcome, bool) {
	ctx := context.Background()
	begun, err := s.BeginTransaction(ctx, &pb.BeginTransactionRequest{Database: testDatabase})
	if err != nil {
		return outcome{}, false
	}
	values, err := s.readRegisters(ctx, begun.Transaction, op.reads, byQuery)
	if err != nil {
		_, _ = s.Rollback(ctx, &pb.RollbackRequest{Database: testDatabase, Transaction: begun.Transaction})
		return outcome{}, false
	}
	var writes []*pb.Write
	for r, v := range op.writes {
		writes = append(writes, put(register(r), map[string]*pb.Value{"v": integer(v)}))
	}
	_, err = s.Commit(ctx, &pb.CommitRequest{Database: testDatabase, Transaction: begun.Transaction, Writes: writes})
	switch status.Code(err) {
	case codes.OK:
		return outcome{values: values}, true
	case codes.Unavailable:
		return outcome{unknown: true}, true
	}
	return outcome{}, false
}

func (s *Server) readRegisters(ctx context.Context, tx []byte, reads []int, byQuery bool) ([]int64, error) {
	v, err := s.view(testDatabase, selector{transaction: tx})
	if err != nil {
		return nil, err
	}
	defer v.close()
	all := map[string]int64{}
	if byQuery {
		q, err := parseQuery(testRoot, &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "registers"}}})
		if err != nil {
			return nil, err
		}
		docs, err := v.collect(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			f, err := d.fields()
			if err != nil {
				return nil, err
			}
			all["registers/"+d.id] = f["v"].GetIntegerValue()
		}
	}
	values := make([]int64, len(reads))
	for i, r := range reads {
		if !byQuery {
			d, err := s.one(ctx, v, register(r))
			if err != nil {
				return nil, err
			}
			all[register(r)] = d
		}
		values[i] = all[register(r)]
	}
	return values, nil
}

// one reads a register in the transaction of a view, which it moves to now first, as each call of a client does.
func (s *Server) one(ctx context.Context, v *view, path string) (int64, error) {
	db, p, err := resource.ParseDocument(testRoot + "/" + path)
	if err != nil {
		return 0, err
	}
	v.refresh()
	d, err := v.read(ctx, db, p)
	if d == nil || err != nil {
		return 0, err
	}
	f, err := d.fields()
	return f["v"].GetIntegerValue(), err
}

// TestBank moves money between accounts under faults; the sum is seen whole by every transaction, and at the end.
func TestBank(t *testing.T) {
	s := newServer(t, Options{Hostile: &Hostile{Seed: 9, Abort: 0.1, Before: 0.1, After: 0.1}, History: time.Minute})
	const accounts, each = 5, 100
	for i := range accounts {
		for {
			_, err := s.Commit(t.Context(), &pb.CommitRequest{Database: testDatabase, Writes: []*pb.Write{put(fmt.Sprintf("accounts/%d", i), map[string]*pb.Value{"v": integer(each)})}})
			if err == nil {
				break
			}
		}
	}
	var wg sync.WaitGroup
	for client := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(client), 8))
			for range 30 {
				from, to, amount := rng.IntN(accounts), rng.IntN(accounts), int64(rng.IntN(40))
				for range 5 {
					if err := s.move(from, to, amount); status.Code(err) != codes.Aborted {
						if err != nil && status.Code(err) != codes.Unavailable && !errors.Is(err, errPoor) {
							t.Error(err)
						}
						break
					}
				}
			}
		})
	}
	wg.Wait()
	if got, err := s.sum(nil); got != accounts*each || err != nil {
		t.Errorf("the bank holds %d, %v, want %d", got, err, accounts*each)
	}
	checkEntries(t, s)
}

var errPoor = errors.New("not enough money")

func (s *Server) move(from, to int, amount int64) error {
	ctx := context.Background()
	begun, err := s.BeginTransaction(ctx, &pb.BeginTransactionRequest{Database: testDatabase})
	if err != nil {
		return err
	}
	rollback := func(err error) error {
		_, _ = s.Rollback(ctx, &pb.RollbackRequest{Database: testDatabase, Transaction: begun.Transaction})
		return err
	}
	get := func(i int) (int64, error) {
		d, err := s.GetDocument(ctx, &pb.GetDocumentRequest{
			Name: fmt.Sprintf("%s/accounts/%d", testRoot, i), ConsistencySelector: &pb.GetDocumentRequest_Transaction{Transaction: begun.Transaction},
		})
		if err != nil {
			return 0, err
		}
		fields, err := parseFields(d.ProtoReflect().GetUnknown())
		return fields["v"].GetIntegerValue(), err
	}
	a, err := get(from)
	if err != nil {
		return rollback(err)
	}
	b, err := get(to)
	if err != nil {
		return rollback(err)
	}
	if total, err := s.sum(begun.Transaction); err != nil {
		return rollback(err)
	} else if total != 500 {
		return rollback(fmt.Errorf("a transaction saw %d", total))
	}
	if a < amount || from == to {
		return rollback(errPoor)
	}
	_, err = s.Commit(ctx, &pb.CommitRequest{Database: testDatabase, Transaction: begun.Transaction, Writes: []*pb.Write{
		put(fmt.Sprintf("accounts/%d", from), map[string]*pb.Value{"v": integer(a - amount)}),
		put(fmt.Sprintf("accounts/%d", to), map[string]*pb.Value{"v": integer(b + amount)}),
	}})
	return err
}

func (s *Server) sum(tx []byte) (int64, error) {
	q, err := parseQuery(testRoot, &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "accounts"}}})
	if err != nil {
		return 0, err
	}
	v, err := s.view(testDatabase, selector{transaction: tx})
	if err != nil {
		return 0, err
	}
	defer v.close()
	a := &aggregation{path: []string{"v"}}
	if err := v.aggregate(context.Background(), q, []*aggregation{a}); err != nil {
		return 0, err
	}
	return a.whole, nil
}
