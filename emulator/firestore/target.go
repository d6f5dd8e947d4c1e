package firestore

import (
	"context"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
)

// target is what a listener wants to know of: the result of a query, or some documents.
type target struct {
	id      int32
	db      resource.Database
	once    bool
	q       *query          // nil: documents
	paths   []resource.Path // of documents
	known   map[documentName]int64
	time    int64 // known is the state at this time
	resumed bool
}

func parseTarget(db resource.Database, in *pb.Target) (*target, error) {
	t := &target{id: in.GetTargetId(), db: db, once: in.GetOnce(), known: map[documentName]int64{}}
	switch x := in.GetTargetType().(type) {
	case *pb.Target_Query:
		q, err := parseQuery(x.Query.GetParent(), x.Query.GetStructuredQuery())
		if err != nil {
			return nil, err
		}
		if q.db != db {
			return nil, invalid("parent %q is not in the database of the request", x.Query.GetParent())
		}
		if q.near != nil {
			return nil, invalid("find_nearest cannot be listened to")
		}
		t.q = q
	case *pb.Target_Documents:
		for _, name := range x.Documents.GetDocuments() {
			in, path, err := resource.ParseDocument(name)
			if err != nil {
				return nil, invalid("%v", err)
			}
			if in != db {
				return nil, invalid("document %q is not in the database of the request", name)
			}
			t.paths = append(t.paths, path)
		}
	default:
		return nil, invalid("target_type is missing")
	}
	return t, nil
}

// isLimited says whether one document's change may move others into the result or out of it.
func (t *target) isLimited() bool { return t.q != nil && (t.q.limit >= 0 || t.q.offset > 0) }

// matches says whether a document is in the target, its limit aside.
func (t *target) matches(d *document) (bool, error) {
	if d == nil {
		return false, nil
	}
	if t.q != nil {
		return t.q.matches(d)
	}
	for _, p := range t.paths {
		if d.id == p.ID() && d.collection.db == t.db && resource.ComparePaths(d.collection.path, p.Collection()) == 0 {
			return true, nil
		}
	}
	return false, nil
}

// each calls fn with every document of the target's state in a view. It holds one of them at a time: its client may be slow, and there
// may be many.
func (t *target) each(ctx context.Context, v *view, fn func(documentName, *document) error) error {
	for _, p := range t.paths {
		d, err := v.find(t.db, p)
		if err != nil {
			return err
		}
		if d == nil {
			continue
		}
		if err := fn(nameOf(t.db, p), d); err != nil {
			return err
		}
	}
	if t.q == nil {
		return nil
	}
	docs, err := v.consistently(ctx, t.q)
	if err != nil {
		return err
	}
	defer docs.close()
	for {
		d, err := docs.next()
		if d == nil || err != nil {
			return err
		}
		if err := fn(nameOf(t.db, d.path()), d); err != nil {
			return err
		}
	}
}

// refresh tells the client how the target's state in a view differs from what it knows.
func (l *listener) refresh(ctx context.Context, t *target, v *view) error {
	now := make(map[documentName]int64, len(t.known))
	err := t.each(ctx, v, func(name documentName, d *document) error {
		now[name] = d.updated
		if version, ok := t.known[name]; ok && version == d.updated {
			return nil
		}
		return l.tell(t, d)
	})
	if err != nil {
		return err
	}
	for name := range t.known {
		if _, ok := now[name]; ok {
			continue
		}
		if err := l.tellGone(ctx, t, v, name); err != nil {
			return err
		}
	}
	for _, p := range t.paths {
		name := nameOf(t.db, p)
		_, is := now[name]
		if _, known := t.known[name]; !is && !known {
			if err := l.tellDeleted(t, t.db.Name(p), v.time); err != nil {
				return err
			}
		}
	}
	t.known, t.time = now, v.time
	return nil
}

// tell says what a document of the target is.
func (l *listener) tell(t *target, d *document) error {
	var mask projection
	if t.q != nil {
		mask = t.q.fields
	}
	m, err := d.message(mask)
	if err != nil {
		return err
	}
	return l.send(&pb.ListenResponse{ResponseType: &pb.ListenResponse_DocumentChange{
		DocumentChange: &pb.DocumentChange{Document: m, TargetIds: []int32{t.id}},
	}})
}

// tellGone says that a document is no longer in the target, and whether it is still there.
func (l *listener) tellGone(_ context.Context, t *target, v *view, name documentName) error {
	full := string(name.db) + "/documents/" + name.path
	_, path, err := resource.ParseDocument(full)
	if err != nil {
		return err
	}
	d, err := v.find(name.db, path)
	if err != nil {
		return err
	}
	if d == nil {
		return l.tellDeleted(t, full, v.time)
	}
	return l.tellRemoved(t, full, v.time)
}

func (l *listener) tellDeleted(t *target, name string, time int64) error {
	return l.send(&pb.ListenResponse{ResponseType: &pb.ListenResponse_DocumentDelete{
		DocumentDelete: &pb.DocumentDelete{Document: name, RemovedTargetIds: []int32{t.id}, ReadTime: timestamp(time)},
	}})
}

func (l *listener) tellRemoved(t *target, name string, time int64) error {
	return l.send(&pb.ListenResponse{ResponseType: &pb.ListenResponse_DocumentRemove{
		DocumentRemove: &pb.DocumentRemove{Document: name, RemovedTargetIds: []int32{t.id}, ReadTime: timestamp(time)},
	}})
}

// apply tells the client of one change, if it concerns the target. Of a limited target it only says whether it does.
func (l *listener) apply(t *target, c *change, time int64) (bool, error) {
	is, err := t.matches(c.after)
	if err != nil {
		return false, err
	}
	name := nameOf(c.db, c.path)
	if t.isLimited() {
		was, err := t.matches(c.before)
		return is || was, err
	}
	if err := l.s.clock.await(time); err != nil {
		return false, err
	}
	_, known := t.known[name]
	switch {
	case is:
		t.known[name] = c.after.updated
		return true, l.tell(t, c.after)
	case !known:
		return false, nil
	}
	delete(t.known, name)
	if c.after == nil {
		return true, l.tellDeleted(t, c.db.Name(c.path), time)
	}
	return true, l.tellRemoved(t, c.db.Name(c.path), time)
}
