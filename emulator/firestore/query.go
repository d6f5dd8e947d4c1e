package firestore

import (
	"cmp"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/firestore/internal/value"
)

// The documented limits of queries.
const (
	maxDisjunctions = 30
	maxFilters      = 100
	maxOrders       = 100
)

// query is a structured query, checked, its implicit orders made explicit.
type query struct {
	db     resource.Database
	parent resource.Path // of the root or of a document
	from   string        // identifier of the collections; empty: all
	all    bool          // all collections under parent, not only those right below it
	where  filter        // nil: every document
	orders []order       // never empty: the last one is the document's name
	start  *bound
	end    *bound
	offset int
	limit  int // -1: no limit
	fields projection
	near   *nearest
}

// order is one field of the order of a result.
type order struct {
	path       resource.FieldPath
	text       string
	descending bool
}

// bound is a position in the order of a result: right before or right after what begins with these values.
type bound struct {
	values []*pb.Value
	before bool
}

// parseQuery checks a query under a parent.
func parseQuery(parent string, in *pb.StructuredQuery) (*query, error) {
	db, path, err := resource.ParseParent(parent)
	if err != nil {
		return nil, invalid("parent: %v", err)
	}
	q := &query{db: db, parent: path, offset: int(in.GetOffset()), limit: -1}
	switch n := len(in.GetFrom()); {
	case n > 1:
		return nil, invalid("from: %d collections; one is allowed", n)
	case n == 1:
		q.from, q.all = in.GetFrom()[0].GetCollectionId(), in.GetFrom()[0].GetAllDescendants()
		if q.from == "" {
			break
		}
		if err := resource.CheckID(q.from); err != nil {
			return nil, invalid("from: %v", err)
		}
	}
	if q.offset < 0 {
		return nil, invalid("offset is negative")
	}
	if l := in.GetLimit(); l != nil {
		if q.limit = int(l.GetValue()); q.limit < 0 {
			return nil, invalid("limit is negative")
		}
	}
	if q.where, err = parseFilter(db, in.GetWhere(), 0); err != nil {
		return nil, err
	}
	if err := q.parseOrders(in.GetOrderBy()); err != nil {
		return nil, err
	}
	if q.start, err = q.parseBound("start_at", in.GetStartAt()); err != nil {
		return nil, err
	}
	if q.end, err = q.parseBound("end_at", in.GetEndAt()); err != nil {
		return nil, err
	}
	if err := q.parseSelect(in.GetSelect()); err != nil {
		return nil, err
	}
	q.near, err = parseNearest(in.GetFindNearest())
	return q, err
}

// parseOrders adds what the documentation says is implied: the fields of inequalities that are not named, in the order of their names,
// and the document's name; all in the direction of the last one named.
func (q *query) parseOrders(in []*pb.StructuredQuery_Order) error {
	if len(in) > maxOrders {
		return invalid("order_by: %d fields; at most %d are allowed", len(in), maxOrders)
	}
	descending := false
	for _, o := range in {
		path, err := resource.ParseFieldPath(o.GetField().GetFieldPath())
		if err != nil {
			return invalid("order_by: %v", err)
		}
		switch o.GetDirection() {
		case pb.StructuredQuery_ASCENDING, pb.StructuredQuery_DIRECTION_UNSPECIFIED:
			descending = false
		case pb.StructuredQuery_DESCENDING:
			descending = true
		default:
			return invalid("order_by: direction %v is not known", o.GetDirection())
		}
		if q.ordersBy(path.String()) {
			return invalid("order_by: field %s is named twice", path)
		}
		q.orders = append(q.orders, order{path, path.String(), descending})
	}
	var implied []resource.FieldPath
	for _, leaf := range leaves(q.where) {
		if leaf.op.isInequality() {
			implied = append(implied, leaf.path)
		}
	}
	slices.SortFunc(implied, slices.Compare[resource.FieldPath])
	for _, path := range implied {
		if !q.ordersBy(path.String()) && !path.IsDocumentID() {
			q.orders = append(q.orders, order{path, path.String(), descending})
		}
	}
	if !q.ordersBy(resource.DocumentID) {
		q.orders = append(q.orders, order{resource.FieldPath{resource.DocumentID}, resource.DocumentID, descending})
	}
	for i, o := range q.orders { // what comes after the name decides nothing
		if o.path.IsDocumentID() {
			q.orders = q.orders[:i+1]
			break
		}
	}
	return nil
}

func (q *query) ordersBy(text string) bool {
	return slices.ContainsFunc(q.orders, func(o order) bool { return o.text == text })
}

func (q *query) parseBound(what string, in *pb.Cursor) (*bound, error) {
	if in == nil {
		return nil, nil
	}
	if n := len(in.GetValues()); n > len(q.orders) {
		return nil, invalid("%s: %d values, and the query is ordered by %d fields", what, n, len(q.orders))
	}
	for i, v := range in.GetValues() {
		if value.ClassOf(v) == 0 {
			return nil, invalid("%s: value %d is missing or cannot be compared", what, i)
		}
		if !q.orders[i].path.IsDocumentID() {
			continue
		}
		if value.ClassOf(v) != value.Reference {
			return nil, invalid("%s: value %d must be a reference, because it stands for %s", what, i, resource.DocumentID)
		}
		if _, _, err := resource.ParseDocument(v.GetReferenceValue()); err != nil {
			return nil, invalid("%s: %v", what, err)
		}
	}
	return &bound{in.GetValues(), in.GetBefore()}, nil
}

func (q *query) parseSelect(in *pb.StructuredQuery_Projection) error {
	if in == nil {
		return nil
	}
	q.fields = projection{}
	for _, f := range in.GetFields() {
		path, err := resource.ParseFieldPath(f.GetFieldPath())
		if err != nil {
			return invalid("select: %v", err)
		}
		q.fields = append(q.fields, path)
	}
	return nil
}

// matches says whether a document is in the result, its limit and offset aside.
func (q *query) matches(d *document) (bool, error) {
	if d.collection.db != q.db || !q.covers(d.collection.path) {
		return false, nil
	}
	return q.selects(d, q.where)
}

// covers says whether the query looks into a collection.
func (q *query) covers(path resource.Path) bool {
	if !path.HasPrefix(q.parent) || q.from != "" && path.ID() != q.from {
		return false
	}
	return q.all || len(path) == len(q.parent)+1
}

// selects asks of a document the condition given, that it has every field the result is ordered by, and that it is within the bounds.
func (q *query) selects(d *document, where filter) (bool, error) {
	if where != nil {
		if ok, err := where.match(d); !ok || err != nil {
			return false, err
		}
	}
	for _, o := range q.orders {
		if o.path.IsDocumentID() {
			continue
		}
		if v, err := d.field(o.path); v == nil || err != nil {
			return false, err
		}
	}
	if q.start != nil {
		if c, err := q.position(d, q.start); c < 0 || err != nil {
			return false, err
		}
	}
	if q.end != nil {
		if c, err := q.position(d, q.end); c > 0 || err != nil {
			return false, err
		}
	}
	return true, nil
}

// position says whether a document comes before (-1) or after (1) a bound.
func (q *query) position(d *document, b *bound) (int, error) {
	for i, v := range b.values {
		f, err := d.field(q.orders[i].path)
		if err != nil {
			return 0, err
		}
		if c := q.orders[i].compare(f, v); c != 0 {
			return c, nil
		}
	}
	if b.before {
		return 1, nil
	}
	return -1, nil
}

func (o order) compare(a, b *pb.Value) int {
	if o.descending {
		return value.Compare(b, a)
	}
	return value.Compare(a, b)
}

// compare orders two documents of the result.
func (q *query) compare(a, b *document) (int, error) {
	for _, o := range q.orders {
		if o.path.IsDocumentID() {
			c := cmp.Or(resource.ComparePaths(a.collection.path, b.collection.path), resource.CompareIDs(a.id, b.id))
			if len(a.collection.path) != len(b.collection.path) {
				c = resource.ComparePaths(a.path(), b.path())
			}
			if o.descending {
				c = -c
			}
			return c, nil
		}
		x, err := a.field(o.path)
		if err != nil {
			return 0, err
		}
		y, err := b.field(o.path)
		if err != nil {
			return 0, err
		}
		if c := o.compare(x, y); c != 0 {
			return c, nil
		}
	}
	return 0, nil
}
