package firestore

import (
	"context"
	"slices"
)

// execute gives the result of a query in its order, from its offset to its limit. The stream must be closed.
func (v *view) execute(ctx context.Context, q *query) (*limited, error) {
	all, err := v.unlimited(ctx, q)
	if err != nil {
		return nil, err
	}
	return &limited{ctx: ctx, from: all, skip: q.offset, left: q.limit}, nil
}

// limited skips and ends.
type limited struct {
	ctx     context.Context
	from    stream
	skip    int
	left    int // -1: no limit
	skipped int
	seen    int
}

func (l *limited) close() { l.from.close() }

func (l *limited) next() (*document, error) {
	for {
		if l.left == 0 {
			return nil, nil
		}
		if l.seen++; l.seen%256 == 0 && l.ctx.Err() != nil {
			return nil, l.ctx.Err()
		}
		d, err := l.from.next()
		if d == nil || err != nil {
			return nil, err
		}
		if l.skip > 0 {
			l.skip--
			l.skipped++
			continue
		}
		if l.left > 0 {
			l.left--
		}
		return d, nil
	}
}

// unlimited gives the result without offset and limit.
func (v *view) unlimited(ctx context.Context, q *query) (stream, error) {
	if q.limit == 0 {
		return &listed{}, nil
	}
	streams, sorted, err := v.streams(q)
	if err != nil {
		return nil, err
	}
	if v.past != nil {
		var before []*document
		for _, d := range v.past {
			if d == nil {
				continue
			}
			if ok, err := q.matches(d); err != nil {
				return nil, err
			} else if ok {
				before = append(before, d)
			}
		}
		docs, err := sortedList(ctx, q, -1, &listed{before})
		if err != nil {
			return nil, err
		}
		streams = append(streams, &listed{docs})
	}
	all := &merged{q: q, from: streams}
	switch {
	case !sorted:
		defer all.close()
		n := -1
		if q.limit >= 0 {
			n = q.offset + q.limit
		}
		docs, err := sortedList(ctx, q, n, streams...)
		return &listed{docs}, err
	case len(streams) == 1:
		return streams[0], nil
	}
	return all, nil
}

// streams gives one stream for each alternative of the query, and says whether all are in its order.
func (v *view) streams(q *query) (out []stream, sorted bool, err error) {
	defer func() {
		if err != nil {
			(&merged{from: out}).close()
		}
	}()
	alternatives, _ := disjunctions(q.where)
	sorted = true
	p := planner{s: v.s, q: q, schema: v.s.schema.of(q.from)}
	switch {
	case q.from == "":
		return v.everything(q)
	case q.all:
		if p.database, err = v.s.registry.database(v.moment, q.db); p.database == 0 || err != nil {
			return nil, true, err
		}
	default:
		if p.collection, err = v.s.registry.find(v.moment, q.db, q.parent.Child(q.from)); p.collection == nil || err != nil {
			return nil, true, err
		}
	}
	for _, where := range alternatives {
		if q.all && (byNameAlone(where, q.orders) || len(p.schema.indexes) == 0 && !v.s.strict) {
			return v.everything(q)
		}
		alternative := p
		alternative.where = where
		plan, err := alternative.plan()
		if err != nil {
			return out, false, err
		}
		if plan.legs == nil && !plan.empty { // a group without an index
			(&merged{from: out}).close()
			return v.everything(q)
		}
		walk, err := newScanner(v, plan)
		if err != nil {
			return out, false, err
		}
		sorted = sorted && plan.sorted
		out = append(out, &filtered{v: v, from: walk, check: plan.check(q), proved: plan.proved() && !q.all})
	}
	return out, sorted, nil
}

// proved says whether the keys prove the alternative and the query's bounds, so that every key counts.
func (p *plan) proved() bool { return p.sorted && p.exact && len(p.rest) == 0 }

// check asks a document for what the plan's keys do not prove.
func (p *plan) check(q *query) func(*document) (bool, error) {
	if p.proved() && !q.all {
		return func(*document) (bool, error) { return true, nil }
	}
	if p.sorted && p.exact {
		return func(d *document) (bool, error) {
			if !q.covers(d.collection.path) {
				return false, nil
			}
			return p.rest.match(d)
		}
	}
	return func(d *document) (bool, error) {
		if !q.covers(d.collection.path) {
			return false, nil
		}
		return q.selects(d, p.rest)
	}
}

// byNameAlone says whether a query is about nothing but names: documents come in their order without an index.
func byNameAlone(where []*leaf, orders []order) bool {
	return len(orders) == 1 && !slices.ContainsFunc(where, func(f *leaf) bool { return !f.path.IsDocumentID() })
}

// everything looks at all documents of the collections that the query covers.
func (v *view) everything(q *query) ([]stream, bool, error) {
	if v.s.strict && !byNameAlone(leaves(q.where), q.orders) && (q.from != "" || q.where != nil) {
		return nil, false, needsIndex()
	}
	walk, err := newGroupScanner(v, q)
	if err != nil {
		return nil, false, err
	}
	all := &filtered{v: v, from: walk, check: func(d *document) (bool, error) { return q.selects(d, q.where) }}
	return []stream{all}, q.orders[0].path.IsDocumentID(), nil
}
