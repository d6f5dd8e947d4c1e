package firestore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/firestore/internal/value"
	"github.com/callout-dev/callout/emulator/storage"
)

// found is a document that keys lead to: where it is, and its bytes where the keys were the document's own.
type found struct {
	collection *collection
	id         string
	stored     []byte
}

// scanner walks the keys that the legs of a plan have in common. It seeks from one leg to the next, so its cost follows the smallest.
type scanner struct {
	v       *view
	plan    *plan
	its     []*storage.Iter
	target  []byte // what follows the prefix: the least, or greatest, that can still be common
	started bool
}

func newScanner(v *view, p *plan) (*scanner, error) {
	s := &scanner{v: v, plan: p}
	if p.empty {
		return s, nil
	}
	for _, l := range p.legs {
		it, err := v.moment.Iter(l.lower, l.upper)
		if err != nil {
			s.close()
			return nil, err
		}
		s.its = append(s.its, it)
	}
	return s, nil
}

func (s *scanner) close() {
	for _, it := range s.its {
		it.Close()
	}
	s.its = nil
}

// next finds the next key that all legs have; false at the end.
func (s *scanner) next() (found, bool, error) {
	if len(s.its) == 0 {
		return found{}, false, nil
	}
	ok := s.advance()
	for agreed := 1; ok && agreed < len(s.its); {
		ok, agreed = s.meet()
	}
	if !ok {
		for _, it := range s.its {
			if err := it.Err(); err != nil {
				return found{}, false, err
			}
		}
		return found{}, false, nil
	}
	f, err := s.locate()
	return f, err == nil, err
}

// advance moves the first leg on.
func (s *scanner) advance() bool {
	it := s.its[0]
	switch {
	case s.started && s.plan.reverse:
		return it.Prev()
	case s.started:
		return it.Next()
	}
	s.started = true
	if s.plan.reverse {
		return it.Last()
	}
	return it.First()
}

// meet moves every leg to where the first one stands, or, where that has no such key, the first one to where the other went. It says how
// many legs stand at the same place.
func (s *scanner) meet() (ok bool, agreed int) {
	s.target = append(s.target[:0], s.suffix(0)...)
	for i := 1; i < len(s.its); i++ {
		if !s.seek(i, s.target) {
			return false, 0
		}
		if !bytes.Equal(s.suffix(i), s.target) {
			return s.seek(0, slices.Clone(s.suffix(i))), 1
		}
	}
	return true, len(s.its)
}

// seek moves a leg to the first key at or beyond a place, in the direction of the plan.
func (s *scanner) seek(i int, place []byte) bool {
	key := concat(s.plan.legs[i].prefix, place)
	if s.plan.reverse {
		return s.its[i].SeekLT(append(key, 0))
	}
	return s.its[i].SeekGE(key)
}

func (s *scanner) suffix(i int) []byte { return s.its[i].Key()[len(s.plan.legs[i].prefix):] }

// locate reads from the first leg's key which document it is.
func (s *scanner) locate() (found, error) {
	l, key, v := s.plan.legs[0], s.its[0].Key(), s.its[0].Value()
	if l.documents {
		id, _, err := resource.CutSegment(key[documentKeyHead:])
		return found{l.collection, id, append([]byte(nil), v...)}, err
	}
	n, size := binary.Uvarint(v)
	if size <= 0 || n > uint64(len(key)) {
		return found{}, fmt.Errorf("index entry %x is damaged", key)
	}
	name := append([]byte(nil), key[len(key)-int(n):]...)
	if l.index == nil {
		id, _, err := resource.CutSegment(name)
		return found{collection: l.collection, id: id}, err
	}
	if l.index.descending() {
		value.Invert(name)
	}
	if l.index.scope == CollectionScope {
		id, _, err := resource.CutSegment(name)
		return found{collection: l.collection, id: id}, err
	}
	path, err := resource.CutPath(name[:len(name)-1])
	if err != nil || len(path) == 0 || len(v) < size+numberBytes {
		return found{}, fmt.Errorf("index entry %x is damaged: %w", key, err)
	}
	c, err := s.v.s.registry.numbered(s.v.moment, binary.BigEndian.Uint32(v[size:]))
	return found{collection: c, id: path.ID()}, err
}
