package firestore

import (
	"context"
	"slices"
)

// stream gives documents one by one, nil at its end.
type stream interface {
	next() (*document, error)
	close()
}

// walker gives what keys lead to.
type walker interface {
	next() (found, bool, error)
	close()
}

// filtered gives the documents that a walker leads to and that meet what its keys do not prove.
type filtered struct {
	v      *view
	from   walker
	check  func(*document) (bool, error)
	proved bool // the keys prove all that check asks, so a count need not look at documents
}

func (f *filtered) close() { f.from.close() }

func (f *filtered) next() (*document, error) {
	for {
		at, ok, err := f.from.next()
		if !ok || err != nil {
			return nil, err
		}
		d, err := f.v.current(at)
		if err != nil {
			return nil, err
		}
		if d == nil {
			continue
		}
		if ok, err := f.check(d); err != nil {
			return nil, err
		} else if ok {
			return d, nil
		}
	}
}

// current is the document that keys of now lead to, nil where a view of the past has another version of it.
func (v *view) current(at found) (*document, error) {
	if v.past != nil {
		if _, ok := v.past[string(documentKey(at.collection.number, at.id))]; ok {
			return nil, nil
		}
	}
	var d *document
	var err error
	if at.stored != nil {
		d, err = decodeDocument(at.collection, at.id, at.stored)
	} else {
		d, err = loadFrom(v.moment, at.collection, at.id)
	}
	if d == nil || err != nil || d.updated > v.time {
		return nil, err
	}
	return d, v.s.clock.await(d.updated)
}

// listed gives documents from a list.
type listed struct{ docs []*document }

func (l *listed) close() {}

func (l *listed) next() (*document, error) {
	if len(l.docs) == 0 {
		return nil, nil
	}
	d := l.docs[0]
	l.docs = l.docs[1:]
	return d, nil
}

// merged gives the documents of several streams that are in the query's order, each document once.
type merged struct {
	q     *query
	from  []stream
	heads []*document // of the streams that have more
	begun bool
}

func (m *merged) close() {
	for _, s := range m.from {
		s.close()
	}
}

func (m *merged) next() (*document, error) {
	if !m.begun {
		m.begun = true
		m.heads = make([]*document, len(m.from))
		for i := range m.from {
			if err := m.pull(i); err != nil {
				return nil, err
			}
		}
	}
	var first *document
	for _, d := range m.heads {
		if d == nil {
			continue
		}
		if first == nil {
			first = d
		} else if c, err := m.q.compare(d, first); err != nil {
			return nil, err
		} else if c < 0 {
			first = d
		}
	}
	if first == nil {
		return nil, nil
	}
	for i, d := range m.heads {
		if d != nil && d.id == first.id && d.collection == first.collection {
			if err := m.pull(i); err != nil {
				return nil, err
			}
		}
	}
	return first, nil
}

func (m *merged) pull(i int) (err error) {
	m.heads[i], err = m.from[i].next()
	return err
}

// sortedList drains streams in any order and gives the first n documents of the query's order; n < 0: all. It keeps twice n at most.
func sortedList(ctx context.Context, q *query, n int, from ...stream) ([]*document, error) {
	var docs []*document
	var failed error
	order := func(a, b *document) int {
		c, err := q.compare(a, b)
		if err != nil {
			failed = err
		}
		return c
	}
	const slack = 1000
	trim := func() {
		slices.SortFunc(docs, order)
		docs = slices.CompactFunc(docs, func(a, b *document) bool { return a.id == b.id && a.collection == b.collection })
		if n >= 0 && len(docs) > n {
			clear(docs[n:])
			docs = docs[:n]
		}
	}
	for _, s := range from {
		for {
			d, err := s.next()
			if err != nil {
				return nil, err
			}
			if d == nil {
				break
			}
			if docs = append(docs, d); n >= 0 && len(docs) > 2*n+slack {
				trim()
			}
			if len(docs)%slack == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
	}
	trim()
	return docs, failed
}
