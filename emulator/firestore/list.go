package firestore

import (
	"context"
	"encoding/base64"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/proto"
)

const (
	defaultPage = 100
	maxPage     = 10_000
)

// ListDocuments serves google.firestore.v1.Firestore/ListDocuments.
func (s *Server) ListDocuments(ctx context.Context, r *pb.ListDocumentsRequest) (*pb.ListDocumentsResponse, error) {
	l, err := parseList(r)
	if err != nil {
		return nil, err
	}
	v, err := s.view(l.q.db, selector{transaction: r.GetTransaction(), readTime: r.GetReadTime()})
	if err != nil {
		return nil, err
	}
	defer v.close()
	if r.GetShowMissing() {
		return v.listMissing(ctx, l)
	}
	out := new(pb.ListDocumentsResponse)
	docs, full, err := v.page(ctx, l)
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		m, err := d.message(l.q.fields)
		if err != nil {
			return nil, err
		}
		out.Documents = append(out.Documents, m)
	}
	if full {
		out.NextPageToken, err = l.token(docs[len(docs)-1])
	}
	return out, err
}

// page gives the documents of a page, and whether there may be more.
func (v *view) page(ctx context.Context, l *list) (docs []*document, full bool, err error) {
	found, err := v.consistently(ctx, l.q)
	if err != nil {
		return nil, false, err
	}
	defer found.close()
	for bytes := 0; bytes < maxPageBytes; {
		d, err := found.next()
		if d == nil || err != nil {
			return docs, len(docs) == l.q.limit, err
		}
		docs = append(docs, d)
		bytes += len(d.raw)
	}
	return docs, true, nil
}

func pageSize(n int32) (int, error) {
	switch {
	case n < 0:
		return 0, invalid("page_size is negative")
	case n == 0:
		return defaultPage, nil
	}
	return min(int(n), maxPage), nil
}

func encodeToken(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decodeToken(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, invalid("page_token is malformed")
	}
	return b, nil
}

// list is a request for the documents of a collection.
type list struct {
	q     *query
	after *pb.Cursor
}

func parseList(r *pb.ListDocumentsRequest) (*list, error) {
	size, err := pageSize(r.GetPageSize())
	if err != nil {
		return nil, err
	}
	in := &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: r.GetCollectionId()}}}
	if r.GetShowMissing() && r.GetOrderBy() != "" {
		return nil, invalid("show_missing and order_by cannot stand together")
	}
	if in.OrderBy, err = parseOrderBy(r.GetOrderBy()); err != nil {
		return nil, err
	}
	l := new(list)
	if r.GetPageToken() != "" {
		b, err := decodeToken(r.GetPageToken())
		if err != nil {
			return nil, err
		}
		in.StartAt = new(pb.Cursor)
		if err := proto.Unmarshal(b, in.StartAt); err != nil {
			return nil, invalid("page_token is malformed")
		}
		l.after = in.StartAt
	}
	if l.q, err = parseQuery(r.GetParent(), in); err != nil {
		return nil, err
	}
	l.q.limit = size
	l.q.fields, err = parseProjection(r.GetMask())
	return l, err
}

// parseOrderBy reads "a desc, b.c".
func parseOrderBy(text string) ([]*pb.StructuredQuery_Order, error) {
	if text == "" {
		return nil, nil
	}
	var out []*pb.StructuredQuery_Order
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Fields(part)
		o := &pb.StructuredQuery_Order{Direction: pb.StructuredQuery_ASCENDING}
		switch {
		case len(words) == 2 && strings.EqualFold(words[1], "desc"):
			o.Direction = pb.StructuredQuery_DESCENDING
		case len(words) == 1, len(words) == 2 && strings.EqualFold(words[1], "asc"):
		default:
			return nil, invalid("order_by: %q is not a field and a direction", part)
		}
		o.Field = &pb.StructuredQuery_FieldReference{FieldPath: words[0]}
		out = append(out, o)
	}
	return out, nil
}

// token is the position after a document.
func (l *list) token(d *document) (string, error) {
	after := new(pb.Cursor)
	for _, o := range l.q.orders {
		v, err := d.field(o.path)
		if err != nil {
			return "", err
		}
		after.Values = append(after.Values, v)
	}
	b, err := proto.Marshal(after)
	return encodeToken(b), err
}

func reference(name string) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: name}}
}
