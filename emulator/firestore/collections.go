package firestore

import (
	"context"
	"encoding/binary"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/proto"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
)

// ListCollectionIds serves google.firestore.v1.Firestore/ListCollectionIds: the collections that have a document, or something below one.
func (s *Server) ListCollectionIds(_ context.Context, r *pb.ListCollectionIdsRequest) (*pb.ListCollectionIdsResponse, error) {
	db, parent, err := resource.ParseParent(r.GetParent())
	if err != nil {
		return nil, invalid("parent: %v", err)
	}
	size, err := pageSize(r.GetPageSize())
	if err != nil {
		return nil, err
	}
	after, err := decodeToken(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	v, err := s.view(db, selector{readTime: r.GetReadTime()})
	if err != nil {
		return nil, err
	}
	defer v.close()
	ids, err := v.collectionIDs(db, parent, string(after), size)
	if err != nil {
		return nil, err
	}
	out := &pb.ListCollectionIdsResponse{CollectionIds: ids}
	if len(ids) == size {
		out.NextPageToken = encodeToken([]byte(ids[size-1]))
	}
	return out, nil
}

// listMissing gives the documents of a collection and, with nothing but their names, those that are not there and have something below.
func (v *view) listMissing(ctx context.Context, l *list) (*pb.ListDocumentsResponse, error) {
	there, full, err := v.page(ctx, l)
	if err != nil {
		return nil, err
	}
	path := l.q.parent.Child(l.q.from)
	ids, err := v.parents(l, path)
	if err != nil {
		return nil, err
	}
	type item struct {
		id  string
		doc *document
	}
	var items []item
	for _, d := range there {
		items = append(items, item{d.id, d})
	}
	for _, id := range ids {
		if d, err := v.find(l.q.db, path.Child(id)); err != nil {
			return nil, err
		} else if d == nil {
			items = append(items, item{id, nil})
		}
	}
	slices.SortFunc(items, func(a, b item) int { return resource.CompareIDs(a.id, b.id) })
	if full { // what comes after the last document is for the next page
		last := there[len(there)-1].id
		items = slices.DeleteFunc(items, func(it item) bool { return resource.CompareIDs(it.id, last) > 0 })
	}
	out := new(pb.ListDocumentsResponse)
	for i, it := range items {
		if i == l.q.limit {
			last := reference(l.q.db.Name(path.Child(items[i-1].id)))
			b, err := proto.Marshal(&pb.Cursor{Values: []*pb.Value{last}})
			out.NextPageToken = encodeToken(b)
			return out, err
		}
		m := &pb.Document{Name: l.q.db.Name(path.Child(it.id))}
		if it.doc != nil {
			if m, err = it.doc.message(l.q.fields); err != nil {
				return nil, err
			}
		}
		out.Documents = append(out.Documents, m)
	}
	if full {
		out.NextPageToken, err = l.token(there[len(there)-1])
	}
	return out, err
}

// parents are the identifiers, after the list's token, of documents of a collection that have collections with documents below; one more
// than a page at most.
func (v *view) parents(l *list, path resource.Path) ([]string, error) {
	prefix := pathKey(l.q.db, path)
	it, err := v.moment.Iter(prefix, successor(prefix))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var out []string
	at := prefix
	if l.after != nil && len(l.after.GetValues()) > 0 {
		_, p, err := resource.ParseDocument(l.after.GetValues()[0].GetReferenceValue())
		if err != nil {
			return nil, invalid("page_token is malformed")
		}
		at = successor(resource.AppendSegment(slices.Clone(prefix), p.ID()))
	}
	for ok := it.SeekGE(at); ok && len(out) <= l.q.limit; {
		if len(it.Key()) == len(prefix) { // the collection itself
			ok = it.Next()
			continue
		}
		id, _, err := resource.CutSegment(it.Key()[len(prefix):])
		if err != nil {
			return nil, err
		}
		below := resource.AppendSegment(slices.Clone(prefix), id)
		has, err := v.hasDocuments(below)
		if err != nil {
			return nil, err
		}
		if has {
			out = append(out, id)
		}
		ok = it.SeekGE(successor(below))
	}
	return out, it.Err()
}

// collectionIDs are the identifiers of collections right below a document that come after one.
func (v *view) collectionIDs(db resource.Database, parent resource.Path, after string, n int) ([]string, error) {
	prefix := pathKey(db, parent)
	it, err := v.moment.Iter(prefix, successor(prefix))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	at := prefix
	if after != "" {
		at = successor(resource.AppendSegment(slices.Clone(prefix), after))
	}
	var out []string
	for ok := it.SeekGE(at); ok && len(out) < n; {
		id, _, err := resource.CutSegment(it.Key()[len(prefix):])
		if err != nil {
			return nil, err
		}
		below := resource.AppendSegment(slices.Clone(prefix), id)
		has, err := v.hasDocuments(below)
		if err != nil {
			return nil, err
		}
		if has {
			out = append(out, id)
		}
		ok = it.SeekGE(successor(below))
	}
	return out, it.Err()
}

// hasDocuments says whether any collection whose key begins so has a document.
func (v *view) hasDocuments(prefix []byte) (bool, error) {
	has := false
	var failed error
	err := v.moment.Scan(prefix, successor(prefix), false, func(_, number []byte) bool {
		docs := numberKey(documentKind, binary.BigEndian.Uint32(number))
		failed = v.moment.Scan(docs, successor(docs), false, func(_, _ []byte) bool {
			has = true
			return false
		})
		return !has && failed == nil
	})
	if err == nil {
		err = failed
	}
	return has, err
}
