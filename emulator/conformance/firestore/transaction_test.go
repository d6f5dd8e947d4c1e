package firestore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestConcurrentIncrements(t *testing.T) {
	d := start(t)
	ref := d.root.Doc("counter")
	set(t, ref, fields{"n": 0})
	const workers, each = 8, 5
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				err := d.RunTransaction(context.Background(), func(_ context.Context, tx *firestore.Transaction) error {
					snap, err := tx.Get(ref)
					if err != nil {
						return err
					}
					return tx.Update(ref, []firestore.Update{{Path: "n", Value: snap.Data()["n"].(int64) + 1}})
				}, firestore.MaxAttempts(20))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := get(t, ref)["n"]; got != int64(workers*each) {
		t.Errorf("n is %v, want %d", got, workers*each)
	}
}

// begin starts a transaction by hand.
func (d *database) begin(t *testing.T, o *pb.TransactionOptions) []byte {
	t.Helper()
	r, err := d.raw.BeginTransaction(t.Context(), &pb.BeginTransactionRequest{Database: d.name, Options: o})
	if err != nil {
		t.Fatal(err)
	}
	return r.Transaction
}

func (d *database) getIn(t *testing.T, tx []byte, ref *firestore.DocumentRef) (*pb.Document, error) {
	t.Helper()
	doc, err := d.raw.GetDocument(t.Context(), &pb.GetDocumentRequest{Name: ref.Path, ConsistencySelector: &pb.GetDocumentRequest_Transaction{Transaction: tx}})
	if status.Code(err) == codes.NotFound {
		return nil, nil
	}
	return doc, err
}

func touch(ref *firestore.DocumentRef, n int64) *pb.Write {
	return &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: ref.Path, Fields: map[string]*pb.Value{"n": {ValueType: &pb.Value_IntegerValue{IntegerValue: n}}}}}}
}

func TestTransactionConflicts(t *testing.T) {
	if !ours {
		t.Skip("says which of two wins; real locks may choose otherwise")
	}
	synctest.Test(t, testTransactionConflicts)
}

func testTransactionConflicts(t *testing.T) {
	d := start(t)
	a, b := d.root.Doc("a"), d.root.Doc("b")
	query := func(tx []byte) error {
		stream, err := d.raw.RunQuery(t.Context(), &pb.RunQueryRequest{
			Parent:              a.Path[:len(a.Path)-len("/c/a")],
			ConsistencySelector: &pb.RunQueryRequest_Transaction{Transaction: tx},
			QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: &pb.StructuredQuery{
				From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c"}},
				Where: &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{FieldFilter: &pb.StructuredQuery_FieldFilter{
					Field: &pb.StructuredQuery_FieldReference{FieldPath: "n"}, Op: pb.StructuredQuery_FieldFilter_GREATER_THAN,
					Value: &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: 100}},
				}}},
			}},
		})
		if err != nil {
			return err
		}
		for err == nil {
			_, err = stream.Recv()
		}
		return nil
	}
	tests := []struct {
		name      string
		read      func(tx []byte) error
		meanwhile *pb.Write
		want      codes.Code
	}{
		{"a document that was read is written", func(tx []byte) error { _, err := d.getIn(t, tx, a); return err }, touch(a, 1), codes.Aborted},
		{"another one is", func(tx []byte) error { _, err := d.getIn(t, tx, a); return err }, touch(b, 2), codes.OK},
		{"a phantom enters a query", query, touch(d.root.Doc("new"), 200), codes.Aborted},
		{"one leaves it", query, touch(d.root.Doc("new"), 3), codes.Aborted},
		{"one passes it by", query, touch(d.root.Doc("new"), 4), codes.OK},
		{"an absent document appears", func(tx []byte) error { _, err := d.getIn(t, tx, d.root.Doc("absent")); return err }, touch(d.root.Doc("absent"), 5), codes.Aborted},
	}
	for _, tt := range tests {
		tx := d.begin(t, nil)
		if err := tt.read(tx); err != nil {
			t.Fatal(err)
		}
		// The writer waits for the lock until the transaction has been quiet for a while.
		if _, err := d.raw.Commit(t.Context(), &pb.CommitRequest{Database: d.name, Writes: []*pb.Write{tt.meanwhile}}); err != nil {
			t.Fatal(err)
		}
		_, err := d.raw.Commit(t.Context(), &pb.CommitRequest{Database: d.name, Transaction: tx, Writes: []*pb.Write{touch(d.root.Doc("out"), 1)}})
		wantCode(t, tt.name, err, tt.want)
		_, err = d.raw.Commit(t.Context(), &pb.CommitRequest{Database: d.name, Transaction: tx})
		wantCode(t, tt.name+": commit again", err, codes.InvalidArgument)
	}
}

func TestDeadlockIsBroken(t *testing.T) {
	if !ours {
		t.Skip("says how locks are taken")
	}
	d := start(t)
	a, b := d.root.Doc("a"), d.root.Doc("b")
	set(t, a, fields{"n": 0})
	set(t, b, fields{"n": 0})
	first, second := d.begin(t, nil), d.begin(t, nil)
	if _, err := d.getIn(t, first, a); err != nil {
		t.Fatal(err)
	}
	if _, err := d.getIn(t, second, b); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() {
		_, err := d.getIn(t, first, b)
		waited <- err
	}()
	_, err := d.getIn(t, second, a)
	other := <-waited
	if (status.Code(err) == codes.Aborted) == (status.Code(other) == codes.Aborted) {
		t.Errorf("one of two that wait for each other must be aborted: got %v and %v", err, other)
	}
}

func TestReadOnlyTransactionSeesOneMoment(t *testing.T) {
	d := start(t)
	a, b := d.root.Doc("a"), d.root.Doc("b")
	set(t, a, fields{"n": 1})
	set(t, b, fields{"n": 1})
	tx := d.begin(t, &pb.TransactionOptions{Mode: &pb.TransactionOptions_ReadOnly_{ReadOnly: &pb.TransactionOptions_ReadOnly{}}})
	if doc, err := d.getIn(t, tx, a); err != nil || doc.Fields["n"].GetIntegerValue() != 1 {
		t.Fatalf("got %v, %v", doc, err)
	}
	set(t, b, fields{"n": 2})
	if doc, err := d.getIn(t, tx, b); err != nil || doc.Fields["n"].GetIntegerValue() != 1 {
		t.Errorf("got %v, %v", doc, err)
	}
	_, err := d.raw.Commit(t.Context(), &pb.CommitRequest{Database: d.name, Transaction: tx, Writes: []*pb.Write{touch(a, 3)}})
	wantCode(t, "write in a read-only transaction", err, codes.InvalidArgument)
}

func TestReadInThePast(t *testing.T) {
	d := start(t)
	ref, later := d.root.Doc("a"), d.root.Doc("later")
	first := set(t, ref, fields{"n": 1}).UpdateTime
	second := set(t, ref, fields{"n": 2}).UpdateTime
	if _, err := ref.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	third := set(t, later, fields{"n": 1}).UpdateTime
	tests := []struct {
		name  string
		at    time.Time
		n     any // of a
		found int
	}{
		{"before all", first.Add(-time.Microsecond), nil, 0},
		{"the first version", first, int64(1), 1},
		{"between", second.Add(-time.Microsecond), int64(1), 1},
		{"the second version", second, int64(2), 1},
		{"after the deletion", third, nil, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			snap, err := ref.WithReadOptions(firestore.ReadTime(tt.at)).Get(t.Context())
			if err != nil && status.Code(err) != codes.NotFound {
				t.Fatal(err)
			}
			if got := snap.Data()["n"]; got != tt.n {
				t.Errorf("n is %v, want %v", got, tt.n)
			}
			q := d.root.Where("n", ">", 0)
			docs, err := q.WithReadOptions(firestore.ReadTime(tt.at)).Documents(t.Context()).GetAll()
			if err != nil || len(docs) != tt.found {
				t.Errorf("query: got %d documents, %v, want %d", len(docs), err, tt.found)
			}
		})
	}
	_, err := ref.WithReadOptions(firestore.ReadTime(time.Now().Add(-100 * time.Hour))).Get(t.Context())
	if err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("too old: %v", err)
	}
}
