package firestore

import (
	"context"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/storage"
)

// GetDocument serves google.firestore.v1.Firestore/GetDocument.
func (s *Server) GetDocument(ctx context.Context, r *pb.GetDocumentRequest) (*pb.Document, error) {
	db, path, err := resource.ParseDocument(r.GetName())
	if err != nil {
		return nil, invalid("%v", err)
	}
	mask, err := parseProjection(r.GetMask())
	if err != nil {
		return nil, err
	}
	var d *document
	if r.GetConsistencySelector() == nil {
		d, err = s.getNow(db, path)
	} else {
		d, err = s.getIn(ctx, db, path, selector{transaction: r.GetTransaction(), readTime: r.GetReadTime()})
	}
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, status.Errorf(codes.NotFound, "Document %q not found.", r.GetName())
	}
	return d.message(mask)
}

// getNow reads a document without a snapshot, and waits until what it read is on the disk.
func (s *Server) getNow(db resource.Database, path resource.Path) (*document, error) {
	generation, last := s.store.Generation(), s.clock.written.Load()
	d, err := s.load(s.store, db, path)
	if err != nil {
		return nil, err
	}
	if d != nil {
		last = d.updated
	}
	if err := s.clock.await(last); err != nil {
		return nil, err
	}
	if generation != s.store.Generation() { // opened afresh: nobody knows whether what was read is there
		return nil, storage.ErrUnavailable
	}
	return d, nil
}

func (s *Server) getIn(ctx context.Context, db resource.Database, path resource.Path, sel selector) (*document, error) {
	v, err := s.view(db, sel)
	if err != nil {
		return nil, err
	}
	defer v.close()
	return v.read(ctx, db, path)
}

// read reads a document on behalf of the view's transaction; nil if it is not there.
func (v *view) read(ctx context.Context, db resource.Database, path resource.Path) (*document, error) {
	if err := v.claim(ctx, db, []resource.Path{path}); err != nil {
		return nil, err
	}
	return v.find(db, path)
}

// claim makes a read-write transaction hold documents and remember what they are in its view.
func (v *view) claim(ctx context.Context, db resource.Database, paths []resource.Path) error {
	if v.tx == nil || v.tx.readOnly {
		return nil
	}
	names := make([]documentName, len(paths))
	for i, p := range paths {
		names[i] = nameOf(db, p)
	}
	waited, err := v.lock(ctx, names)
	if err != nil {
		return err
	}
	if waited {
		v.refresh()
	}
	if err := v.consistent(); err != nil {
		return err
	}
	for i, p := range paths {
		d, err := v.find(db, p)
		if err != nil {
			return err
		}
		if err := v.saw(names[i], d); err != nil {
			return err
		}
	}
	return nil
}

// BatchGetDocuments serves google.firestore.v1.Firestore/BatchGetDocuments. Answers come in the order of the request, each name once.
// It holds one document at a time: its client may be slow, and there may be many.
func (s *Server) BatchGetDocuments(r *pb.BatchGetDocumentsRequest, stream pb.Firestore_BatchGetDocumentsServer) error {
	db, err := resource.ParseDatabase(r.GetDatabase())
	if err != nil {
		return invalid("%v", err)
	}
	mask, err := parseProjection(r.GetMask())
	if err != nil {
		return err
	}
	var names []string
	var paths []resource.Path
	seen := make(map[string]bool, len(r.GetDocuments()))
	for _, name := range r.GetDocuments() {
		in, path, err := resource.ParseDocument(name)
		if err != nil {
			return invalid("%v", err)
		}
		if in != db {
			return invalid("document %q is not in the database %q of the request", name, db)
		}
		if !seen[name] {
			seen[name] = true
			names, paths = append(names, name), append(paths, path)
		}
	}
	v, err := s.view(db, selector{r.GetTransaction(), r.GetNewTransaction(), r.GetReadTime()})
	if err != nil {
		return err
	}
	if err := v.claim(stream.Context(), db, paths); err != nil {
		v.abandon()
		return err
	}
	defer v.close()
	if v.begun {
		if err := stream.Send(&pb.BatchGetDocumentsResponse{Transaction: v.transactionID()}); err != nil {
			return err
		}
	}
	v.leave()
	for i, path := range paths {
		d, err := v.find(db, path)
		if err != nil {
			return err
		}
		answer := &pb.BatchGetDocumentsResponse{ReadTime: timestamp(v.time)}
		if d == nil {
			answer.Result = &pb.BatchGetDocumentsResponse_Missing{Missing: names[i]}
		} else {
			m, err := d.message(mask)
			if err != nil {
				return err
			}
			answer.Result = &pb.BatchGetDocumentsResponse_Found{Found: m}
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
	return nil
}

// parseProjection gives nil for no mask: all fields.
func parseProjection(m *pb.DocumentMask) (projection, error) {
	if m == nil {
		return nil, nil
	}
	return parseMask(m)
}
