package firestore

import (
	"context"
	"crypto/rand"
	"sync"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
)

// CreateDocument serves google.firestore.v1.Firestore/CreateDocument.
func (s *Server) CreateDocument(ctx context.Context, r *pb.CreateDocumentRequest) (*pb.Document, error) {
	db, parent, err := resource.ParseParent(r.GetParent())
	if err != nil {
		return nil, invalid("%v", err)
	}
	if err := resource.CheckID(r.GetCollectionId()); err != nil {
		return nil, invalid("collection_id: %v", err)
	}
	id := r.GetDocumentId()
	if id == "" {
		id = newID()
	}
	w := &pb.Write{
		Operation: &pb.Write_Update{Update: &pb.Document{
			Name:   db.Name(parent.Child(r.GetCollectionId(), id)),
			Fields: r.GetDocument().GetFields(),
		}},
		CurrentDocument: &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: false}},
	}
	return s.writeOne(ctx, db, w, r.GetMask())
}

// newID makes an identifier as the official clients do: 20 letters and digits.
func newID() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, 20)
	_, _ = rand.Read(b)
	for i, c := range b {
		b[i] = alphabet[int(c)%len(alphabet)]
	}
	return string(b)
}

// UpdateDocument serves google.firestore.v1.Firestore/UpdateDocument.
func (s *Server) UpdateDocument(ctx context.Context, r *pb.UpdateDocumentRequest) (*pb.Document, error) {
	db, _, err := resource.ParseDocument(r.GetDocument().GetName())
	if err != nil {
		return nil, invalid("document.name: %v", err)
	}
	w := &pb.Write{
		Operation:  &pb.Write_Update{Update: r.GetDocument()},
		UpdateMask: r.GetUpdateMask(), CurrentDocument: r.GetCurrentDocument(),
	}
	return s.writeOne(ctx, db, w, r.GetMask())
}

// writeOne commits one write and gives the document as it then is.
func (s *Server) writeOne(ctx context.Context, db resource.Database, in *pb.Write, mask *pb.DocumentMask) (*pb.Document, error) {
	p, err := parseProjection(mask)
	if err != nil {
		return nil, err
	}
	w, err := parseWrite(db, in)
	if err != nil {
		return nil, err
	}
	if err := s.awaitLocks(ctx, nil, []*write{w}); err != nil {
		return nil, err
	}
	done, err := s.commit(nil, []*write{w})
	if err != nil {
		return nil, err
	}
	return done.changes[0].after.message(p)
}

// DeleteDocument serves google.firestore.v1.Firestore/DeleteDocument.
func (s *Server) DeleteDocument(ctx context.Context, r *pb.DeleteDocumentRequest) (*emptypb.Empty, error) {
	db, _, err := resource.ParseDocument(r.GetName())
	if err != nil {
		return nil, invalid("%v", err)
	}
	w, err := parseWrite(db, &pb.Write{Operation: &pb.Write_Delete{Delete: r.GetName()}, CurrentDocument: r.GetCurrentDocument()})
	if err != nil {
		return nil, err
	}
	if err := s.awaitLocks(ctx, nil, []*write{w}); err != nil {
		return nil, err
	}
	if _, err := s.commit(nil, []*write{w}); err != nil {
		return nil, err
	}
	return new(emptypb.Empty), nil
}

// BatchWrite serves google.firestore.v1.Firestore/BatchWrite: each write by itself, in no order.
func (s *Server) BatchWrite(ctx context.Context, r *pb.BatchWriteRequest) (*pb.BatchWriteResponse, error) {
	db, err := resource.ParseDatabase(r.GetDatabase())
	if err != nil {
		return nil, invalid("%v", err)
	}
	if n := len(r.GetWrites()); n > maxBatchWrites {
		return nil, invalid("%d writes; at most %d are allowed", n, maxBatchWrites)
	}
	seen := map[string]bool{}
	for _, w := range r.GetWrites() {
		name := w.GetUpdate().GetName() + w.GetDelete() + w.GetTransform().GetDocument()
		if seen[name] {
			return nil, invalid("document %q is written twice", name)
		}
		seen[name] = true
	}
	out := &pb.BatchWriteResponse{
		WriteResults: make([]*pb.WriteResult, len(r.GetWrites())),
		Status:       make([]*rpcstatus.Status, len(r.GetWrites())),
	}
	const workers = 16 // they share syncs
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(workers, len(r.GetWrites())) {
		wg.Go(func() {
			for i := range next {
				out.WriteResults[i], out.Status[i] = s.writeAlone(ctx, db, r.GetWrites()[i])
			}
		})
	}
	for i := range r.GetWrites() {
		next <- i
	}
	close(next)
	wg.Wait()
	return out, nil
}

func (s *Server) writeAlone(ctx context.Context, db resource.Database, in *pb.Write) (*pb.WriteResult, *rpcstatus.Status) {
	w, err := parseWrite(db, in)
	if err == nil {
		err = s.awaitLocks(ctx, nil, []*write{w})
	}
	var done *committed
	if err == nil {
		done, err = s.commit(nil, []*write{w})
	}
	if err != nil {
		return new(pb.WriteResult), status.Convert(s.fail(ctx, err)).Proto()
	}
	return done.results[0], &rpcstatus.Status{Code: int32(codes.OK)}
}
