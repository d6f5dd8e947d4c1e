package firestore

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// reader is a client's end of a stream: a message is sent when the client takes it.
type reader[M any] struct {
	grpc.ServerStream
	ctx   context.Context
	taken chan M
}

func (r *reader[M]) Context() context.Context { return r.ctx }
func (r *reader[M]) Send(m M) error           { r.taken <- m; return nil }

// A client that does not read what it asked for in a transaction may still end it, and the answer stays what it was.
func TestTransactionsGoOnWhileAnAnswerIsSent(t *testing.T) {
	query := func(s *Server, id []byte, r *reader[*pb.RunQueryResponse]) error {
		return s.RunQuery(&pb.RunQueryRequest{Parent: testRoot, QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: &pb.StructuredQuery{
			From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c"}}}}, ConsistencySelector: &pb.RunQueryRequest_Transaction{Transaction: id}}, r)
	}
	batch := func(s *Server, id []byte, r *reader[*pb.BatchGetDocumentsResponse]) error {
		return s.BatchGetDocuments(&pb.BatchGetDocumentsRequest{Database: testDatabase, Documents: []string{testRoot + "/c/a", testRoot + "/c/b"},
			ConsistencySelector: &pb.BatchGetDocumentsRequest_Transaction{Transaction: id}}, r)
	}
	t.Run("query", func(t *testing.T) { unread(t, query) })
	t.Run("batch", func(t *testing.T) { unread(t, batch) })
}

func unread[M proto.Message](t *testing.T, call func(*Server, []byte, *reader[M]) error) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{})
		s.mustCommit(t, put("c/a", nil), put("c/b", nil))
		begun, err := s.BeginTransaction(t.Context(), &pb.BeginTransactionRequest{Database: testDatabase})
		if err != nil {
			t.Fatal(err)
		}
		r := &reader[M]{ctx: t.Context(), taken: make(chan M)}
		done := make(chan error, 1)
		go func() { done <- call(s, begun.Transaction, r) }()
		synctest.Wait()
		if _, err := s.Rollback(t.Context(), &pb.RollbackRequest{Database: testDatabase, Transaction: begun.Transaction}); err != nil {
			t.Error(err)
		}
		s.mustCommit(t, remove("c/b"))
		for _, want := range []string{"a", "b"} {
			wire, err := proto.Marshal(<-r.taken)
			if err != nil || !bytes.Contains(wire, []byte(testRoot+"/c/"+want)) {
				t.Errorf("got %q, %v, want %s", wire, err, want)
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestErrorTextsAreShort(t *testing.T) {
	s := newServer(t, Options{})
	for _, text := range []string{"short", strings.Repeat("x", maxMessage), "x" + strings.Repeat("ü", 1<<20)} {
		err := s.fail(t.Context(), status.Error(codes.InvalidArgument, text))
		got := status.Convert(err)
		if got.Code() != codes.InvalidArgument || len(got.Message()) > maxMessage+len("…") || !utf8.ValidString(got.Message()) {
			t.Errorf("%d bytes: got %v and %d bytes", len(text), got.Code(), len(got.Message()))
		}
		if whole := len(text) <= maxMessage; whole != (got.Message() == text) {
			t.Errorf("%d bytes became %d", len(text), len(got.Message()))
		}
	}
}
