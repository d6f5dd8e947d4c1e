package firestore

import (
	"context"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// RunQuery serves google.firestore.v1.Firestore/RunQuery.
func (s *Server) RunQuery(r *pb.RunQueryRequest, stream pb.Firestore_RunQueryServer) error {
	if r.GetExplainOptions() != nil {
		return status.Error(codes.Unimplemented, "explain_options are not supported")
	}
	q, err := parseQuery(r.GetParent(), r.GetStructuredQuery())
	if err != nil {
		return err
	}
	v, err := s.view(q.db, selector{r.GetTransaction(), r.GetNewTransaction(), r.GetReadTime()})
	if err != nil {
		return err
	}
	if err := s.runQuery(v, q, stream); err != nil {
		v.abandon()
		return err
	}
	v.close()
	return nil
}

func (s *Server) runQuery(v *view, q *query, stream pb.Firestore_RunQueryServer) error {
	if v.begun {
		if err := stream.Send(&pb.RunQueryResponse{Transaction: v.transactionID(), ReadTime: timestamp(v.time)}); err != nil {
			return err
		}
	}
	sent := false
	send := func(m *pb.Document, skipped int) error {
		sent = true
		return stream.Send(&pb.RunQueryResponse{Document: m, ReadTime: timestamp(v.time), SkippedResults: int32(skipped)})
	}
	last, err := v.results(stream.Context(), q, send)
	if err != nil {
		return err
	}
	if !sent || last > 0 {
		return stream.Send(&pb.RunQueryResponse{ReadTime: timestamp(v.time), SkippedResults: int32(last)})
	}
	return nil
}

// results gives each document of a query's result to send, with how many the offset skipped before it, and at last how many it skipped
// after the last one.
func (v *view) results(ctx context.Context, q *query, send func(m *pb.Document, skipped int) error) (int, error) {
	if q.near != nil {
		out, err := v.consistently(ctx, q)
		if err != nil {
			return 0, err
		}
		defer out.close()
		v.leave()
		picked, err := q.near.pick(out)
		if err != nil {
			return 0, err
		}
		for _, d := range picked {
			m, err := q.near.message(d, q.fields)
			if err != nil {
				return 0, err
			}
			if err := send(m, 0); err != nil {
				return 0, err
			}
		}
		return 0, nil
	}
	out, err := v.consistently(ctx, q)
	if err != nil {
		return 0, err
	}
	defer out.close()
	v.leave()
	told := 0
	for {
		d, err := out.next()
		if err != nil {
			return 0, err
		}
		if d == nil {
			return out.skipped - told, nil
		}
		m, err := d.message(q.fields)
		if err != nil {
			return 0, err
		}
		if err := send(m, out.skipped-told); err != nil {
			return 0, err
		}
		told = out.skipped
	}
}

// collect gives a whole result as a list.
func (v *view) collect(ctx context.Context, q *query) ([]*document, error) {
	out, err := v.consistently(ctx, q)
	if err != nil {
		return nil, err
	}
	defer out.close()
	var docs []*document
	for {
		d, err := out.next()
		if d == nil || err != nil {
			return docs, err
		}
		docs = append(docs, d)
	}
}

// consistently runs a query. For a read-write transaction it locks what the query finds, runs it again where that took a wait, and
// remembers query and documents for the commit.
func (v *view) consistently(ctx context.Context, q *query) (*limited, error) {
	if v.tx == nil || v.tx.readOnly {
		return v.execute(ctx, q)
	}
	const tries = 3
	for range tries {
		out, err := v.execute(ctx, q)
		if err != nil {
			return nil, err
		}
		docs, err := drain(out)
		if err != nil {
			return nil, err
		}
		names := make([]documentName, len(docs))
		for i, d := range docs {
			names[i] = nameOf(q.db, d.path())
		}
		waited, err := v.lock(ctx, names)
		if err != nil {
			return nil, err
		}
		if waited {
			v.refresh()
			continue
		}
		if err := v.consistent(); err != nil {
			return nil, err
		}
		for i, d := range docs {
			if err := v.saw(names[i], d); err != nil {
				return nil, err
			}
		}
		v.tx.queries = append(v.tx.queries, q)
		return &limited{ctx: ctx, from: &listed{docs}, left: -1, skipped: out.skipped}, nil
	}
	return nil, aborted("the documents of a query keep changing; try again")
}

func drain(s stream) ([]*document, error) {
	defer s.close()
	var docs []*document
	for {
		d, err := s.next()
		if d == nil || err != nil {
			return docs, err
		}
		docs = append(docs, d)
	}
}
