package firestore

import (
	"testing"
	"testing/synctest"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// A call in a transaction may last for ever, where its client does not read. Its transaction keeps nobody else's documents or time for
// longer than transactions live.
func TestTransactionInACallThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{})
		s.mustCommit(t, put("c/a", nil))
		begin := func() []byte {
			r, err := s.BeginTransaction(t.Context(), &pb.BeginTransactionRequest{Database: testDatabase})
			if err != nil {
				t.Fatal(err)
			}
			return r.Transaction
		}
		id := begin()
		_, err := s.GetDocument(t.Context(), &pb.GetDocumentRequest{Name: testRoot + "/c/a", ConsistencySelector: &pb.GetDocumentRequest_Transaction{Transaction: id}})
		if err != nil {
			t.Fatal(err)
		}
		stuck, err := s.transactions.take(testDatabase, id)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(transactionAge + 2*housekeeping)
		if !s.transactions.locks.none() {
			t.Error("the document is still locked")
		}
		s.mustCommit(t, put("c/a", map[string]*pb.Value{"n": integer(1)}))
		begin()
		time.Sleep(transactionIdle + 2*housekeeping)
		if n := s.Metrics().Transactions; n != 1 {
			t.Errorf("%d transactions, want the one in a call: nobody ends the others", n)
		}
		s.transactions.release(stuck)
		time.Sleep(2 * housekeeping)
		if n := s.Metrics().Transactions; n != 0 {
			t.Errorf("%d transactions at the end", n)
		}
	})
}
