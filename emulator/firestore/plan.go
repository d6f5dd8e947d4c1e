package firestore

import (
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/firestore/internal/value"
)

// plan is how the documents of one alternative of a query are found: by keys that several stretches of the store have in common, each of
// them a leg. What the keys do not prove is asked of the documents.
type plan struct {
	legs    []*leg
	reverse bool // walk the keys backwards
	sorted  bool // they come in the query's order
	rest    and  // comparisons that the keys do not prove
	exact   bool // the keys prove the query's bounds
	empty   bool // there can be nothing
}

// leg is a stretch of keys: a prefix, and bounds for what follows it. The keys that follow are comparable between the legs of a plan.
type leg struct {
	prefix       []byte
	lower, upper []byte // bounds of whole keys
	index        *index // nil: the documents themselves, or an automatic index
	collection   *collection
	documents    bool // the values are documents
	proves       []*leaf
}

// candidate is an index that could serve, before its bounds are known.
type candidate struct {
	leg
	rest    []order // the order of its keys within the prefix, the name aside
	modes   []Mode  // of these
	reverse bool
	name    bool // names are inverted in it
}

// planner plans one alternative.
type planner struct {
	s          *Server
	q          *query
	schema     *groupSchema
	collection *collection // nil: a group
	database   uint32      // of a group
	where      []*leaf
	orders     []order // the query's, without what an equality makes constant
	loose      bool    // orders are not the query's, so its bounds say nothing of keys
}

// plan finds the cheapest way that the indexes give. It is never wrong for want of one, only slow, unless the server is strict.
func (p *planner) plan() (*plan, error) {
	for _, o := range p.q.orders {
		if o.path.IsDocumentID() || !slices.ContainsFunc(p.where, func(f *leaf) bool { return f.op == equal && f.text == o.text }) {
			p.orders = append(p.orders, o)
		}
	}
	candidates := p.candidates()
	if best := p.join(candidates); best != nil {
		if p.s.strict && len(best.rest) > 0 && !p.servable(best) {
			return nil, needsIndex()
		}
		return best, nil
	}
	if p.s.strict {
		return nil, needsIndex()
	}
	return p.unsorted(), nil
}

func needsIndex() error {
	return status.Error(codes.FailedPrecondition, "The query requires an index. Name it in the file of indexes.")
}

// servable says whether production asks the documents for the rest of a plan too: where that is no comparison of a field that some
// index would be needed for.
func (p *planner) servable(best *plan) bool {
	for _, f := range leaves(best.rest) {
		first := p.orders[0].text == f.text
		if f.op == equal || f.op == arrayContains || f.op.isRange() && !first && !f.path.IsDocumentID() && !p.ordered(f.text) {
			return false
		}
	}
	return true
}

func (p *planner) ordered(text string) bool {
	return slices.ContainsFunc(p.orders, func(o order) bool { return o.text == text })
}

// candidates are the indexes whose keys come in the query's order.
func (p *planner) candidates() []*candidate {
	var out []*candidate
	add := func(c *candidate) {
		if c != nil {
			out = append(out, c)
		}
	}
	if p.collection != nil {
		for _, f := range p.where {
			add(p.automatic(f.path, f.text))
		}
		if o := p.orders[0]; !o.path.IsDocumentID() {
			add(p.automatic(o.path, o.text))
		}
		add(p.byName())
	}
	for _, x := range p.schema.indexes {
		if (x.scope == GroupScope) != (p.collection == nil) {
			continue
		}
		head := x.headOf(p.database)
		if p.collection != nil {
			head = x.headOf(p.collection.number)
		}
		add(p.match(leg{prefix: head, index: x, collection: p.collection}, x.fields))
	}
	return out
}

// byName is the collection itself, which comes in the order of names.
func (p *planner) byName() *candidate {
	return p.match(leg{prefix: numberKey(documentKind, p.collection.number), collection: p.collection, documents: true}, nil)
}

// automatic is the automatic index of a field. It holds whole values in one part and elements of arrays in another.
func (p *planner) automatic(path resource.FieldPath, text string) *candidate {
	if path.IsDocumentID() {
		return nil
	}
	rule := p.schema.rule(path)
	head := automaticHead(p.collection.number, text)
	for _, f := range p.where {
		if f.text == text && f.op == arrayContains && rule.contains {
			return p.match(leg{prefix: append(head, containsMode), collection: p.collection}, []indexField{{path, text, Contains}})
		}
	}
	if !rule.order {
		return nil
	}
	return p.match(leg{prefix: append(head, orderMode), collection: p.collection}, []indexField{{path, text, Ascending}})
}

// match takes fields that an equality fixes into the prefix, and compares the others with the query's order.
func (p *planner) match(l leg, fields []indexField) *candidate {
	c := &candidate{leg: l, name: len(fields) > 0 && fields[len(fields)-1].mode == Descending}
	c.prefix = slices.Clip(c.prefix)
	for len(fields) > 0 {
		f := p.fixes(fields[0])
		if f == nil || slices.Contains(c.proves, f) {
			break
		}
		n := len(c.prefix)
		var cut bool
		c.prefix, cut = value.AppendIndexed(c.prefix, f.value)
		if fields[0].mode == Descending {
			value.Invert(c.prefix[n:])
		}
		if !cut {
			c.proves = append(c.proves, f)
		}
		fields = fields[1:]
	}
	if len(fields) != len(p.orders)-1 {
		return nil
	}
	for i, o := range p.orders {
		descending := c.name
		if i < len(fields) {
			if fields[i].text != o.text || fields[i].mode == Contains {
				return nil
			}
			descending = fields[i].mode == Descending
			c.modes = append(c.modes, fields[i].mode)
		}
		reverse := o.descending != descending
		if i > 0 && reverse != c.reverse {
			return nil
		}
		c.reverse = reverse
	}
	c.rest = p.orders[:len(fields)]
	return c
}

// fixes finds the comparison that leaves one value of the field.
func (p *planner) fixes(x indexField) *leaf {
	want := equal
	if x.mode == Contains {
		want = arrayContains
	}
	for _, f := range p.where {
		if f.op == want && f.text == x.text {
			return f
		}
	}
	return nil
}

// join takes those candidates whose keys can be compared, beginning with the one that proves most, until nothing more is proved.
func (p *planner) join(all []*candidate) *plan {
	var best *plan
	for _, first := range all {
		out := &plan{reverse: first.reverse, sorted: true, exact: true}
		open := slices.Clone(p.where)
		take := func(c *candidate) {
			l := c.leg
			out.legs = append(out.legs, &l)
			open = slices.DeleteFunc(open, func(f *leaf) bool { return slices.Contains(c.proves, f) })
		}
		take(first)
		for _, c := range all {
			alike := c.reverse == first.reverse && c.name == first.name && slices.Equal(c.modes, first.modes)
			if alike && slices.ContainsFunc(open, func(f *leaf) bool { return slices.Contains(c.proves, f) }) {
				take(c)
			}
		}
		p.bound(out, first, &open)
		for _, f := range open {
			out.rest = append(out.rest, f)
		}
		if best == nil || len(out.rest) < len(best.rest) || len(out.rest) == len(best.rest) && len(out.legs) < len(best.legs) {
			best = out
		}
	}
	return best
}

// bound narrows all legs of a plan by ranges of the first ordered field and by the query's bounds.
func (p *planner) bound(out *plan, c *candidate, open *[]*leaf) {
	b := &bounds{p: p, c: c}
	b.ranges(open)
	out.exact = b.cursor(p.q.start, true)
	out.exact = b.cursor(p.q.end, false) && out.exact
	for _, l := range out.legs {
		l.lower = concat(l.prefix, b.lower)
		l.upper = successor(l.prefix)
		if b.upper != nil {
			l.upper = concat(l.prefix, b.upper)
		}
		out.empty = out.empty || slices.Compare(l.lower, l.upper) >= 0
	}
}

// unsorted is a plan for when no index has the query's order: the best one for its conditions, and everything where there is none.
func (p *planner) unsorted() *plan {
	p.loose = true
	orders := p.orders
	name := orders[len(orders)-1:]
	out := &plan{}
	for _, f := range p.where {
		if !f.op.isRange() {
			p.orders = name
			if best := p.join(p.candidates()); best != nil && (out.legs == nil || len(best.rest) < len(out.rest)) {
				out = best
			}
			continue
		}
		if p.collection == nil || out.legs != nil {
			continue
		}
		p.orders = []order{{f.path, f.text, name[0].descending}, name[0]}
		if c := p.automatic(f.path, f.text); c != nil {
			out = p.join([]*candidate{c})
		}
	}
	if out.legs == nil && p.collection != nil {
		p.orders = name
		out = p.join([]*candidate{p.byName()})
	}
	out.sorted, out.exact, out.empty, out.rest = false, false, false, nil
	for _, f := range p.where {
		out.rest = append(out.rest, f)
	}
	return out
}

// reference gives what follows a prefix at the name's place, where the name lies in what the plan covers.
func (p *planner) reference(x *index, v *pb.Value) ([]byte, bool) {
	db, path, err := resource.ParseDocument(v.GetReferenceValue())
	if err != nil || db != p.q.db {
		return nil, false
	}
	if x != nil && x.scope == GroupScope {
		return append(resource.AppendPath(nil, path), pathEnd), true
	}
	if resource.ComparePaths(path.Collection(), p.collection.path) != 0 {
		return nil, false
	}
	return resource.AppendSegment(nil, path.ID()), true
}
