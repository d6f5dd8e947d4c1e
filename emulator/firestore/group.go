package firestore

import (
	"bytes"
	"encoding/binary"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/storage"
)

// groupScanner walks all documents of several collections in the order of their names. Collections are opened only when their first
// document may be next, so a limit keeps the cost small however many there are.
type groupScanner struct {
	v          *view
	q          *query
	descending bool
	registry   *storage.Iter // the collections, in the order of their paths
	more       bool
	upcoming   *collection // the next one to open, nil at the end
	place      []byte      // what all its documents' paths begin with
	open       []*openCollection
}

// openCollection is a collection and the document of it that is next.
type openCollection struct {
	collection *collection
	it         *storage.Iter
	place      []byte // the path of the document it stands on
}

func newGroupScanner(v *view, q *query) (*groupScanner, error) {
	prefix := pathKey(q.db, q.parent)
	if q.from != "" && q.all {
		prefix = groupKey(q.db, q.from, q.parent)
	}
	it, err := v.moment.Iter(prefix, successor(prefix))
	if err != nil {
		return nil, err
	}
	g := &groupScanner{v: v, q: q, registry: it, descending: q.orders[0].path.IsDocumentID() && q.orders[0].descending}
	if g.descending {
		g.more = it.Last()
	} else {
		g.more = it.First()
	}
	return g, g.find()
}

func (g *groupScanner) close() {
	g.registry.Close()
	for _, o := range g.open {
		o.it.Close()
	}
	g.open = nil
}

// find looks for the next collection that the query covers.
func (g *groupScanner) find() error {
	g.upcoming = nil
	for g.more {
		c, err := g.v.s.registry.numbered(g.v.moment, binary.BigEndian.Uint32(g.registry.Value()))
		if err != nil {
			return err
		}
		if g.descending {
			g.more = g.registry.Prev()
		} else {
			g.more = g.registry.Next()
		}
		if g.q.covers(c.path) {
			g.upcoming, g.place = c, resource.AppendPath(nil, c.path)
			return nil
		}
	}
	return g.registry.Err()
}

// next finds the next document; false at the end.
func (g *groupScanner) next() (found, bool, error) {
	if err := g.openDue(); err != nil {
		return found{}, false, err
	}
	if len(g.open) == 0 {
		return found{}, false, nil
	}
	first := 0
	for i, o := range g.open {
		if c := bytes.Compare(o.place, g.open[first].place); c < 0 != g.descending && c != 0 {
			first = i
		}
	}
	o := g.open[first]
	id, _, err := resource.CutSegment(o.it.Key()[documentKeyHead:])
	if err != nil {
		return found{}, false, err
	}
	f := found{o.collection, id, append([]byte(nil), o.it.Value()...)}
	step := o.it.Next
	if g.descending {
		step = o.it.Prev
	}
	return f, true, g.settle(first, step())
}

// openDue opens the collections that may have a document before those that are open.
func (g *groupScanner) openDue() error {
	for g.upcoming != nil && g.isDue() {
		docs := numberKey(documentKind, g.upcoming.number)
		it, err := g.v.moment.Iter(docs, successor(docs))
		if err != nil {
			return err
		}
		g.open = append(g.open, &openCollection{collection: g.upcoming, it: it})
		step := it.First
		if g.descending {
			step = it.Last
		}
		if err := g.settle(len(g.open)-1, step()); err != nil {
			return err
		}
		if err := g.find(); err != nil {
			return err
		}
	}
	return nil
}

func (g *groupScanner) isDue() bool {
	for _, o := range g.open {
		if !g.descending && bytes.Compare(o.place, g.place) < 0 || g.descending && bytes.Compare(o.place, successor(g.place)) >= 0 {
			return false
		}
	}
	return true
}

// settle notes where an open collection stands after a move, and closes it at its end.
func (g *groupScanner) settle(i int, ok bool) error {
	o := g.open[i]
	if !ok {
		err := o.it.Err()
		o.it.Close()
		g.open = append(g.open[:i], g.open[i+1:]...)
		return err
	}
	o.place = append(resource.AppendPath(o.place[:0], o.collection.path), o.it.Key()[documentKeyHead:]...)
	return nil
}
