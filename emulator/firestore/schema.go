package firestore

import (
	"encoding/binary"
	"encoding/json"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/firestore/internal/value"
)

// schema is Indexes in the form in which entries are made from it: what holds for each collection identifier. It never changes.
type schema struct {
	groups map[string]*groupSchema
	none   *groupSchema
}

// groupSchema is what holds for the collections of one identifier.
type groupSchema struct {
	id        string
	overrides map[string]*fieldRule // by canonical path; "*" for the rest
	indexes   []*index              // composite ones, and single-field ones of group scope
	ttl       []resource.FieldPath
}

// fieldRule is which automatic entries a field has.
type fieldRule struct{ order, contains bool }

// index is an index whose entries are made from a list of fields.
type index struct {
	number uint32
	scope  Scope
	fields []indexField
}

type indexField struct {
	path resource.FieldPath
	text string // the path as a string
	mode Mode
}

// last says how the document's name, which ends every entry, is sorted: as the last field is.
func (x *index) descending() bool { return x.fields[len(x.fields)-1].mode == Descending }

// newSchema takes paths that ParseIndexes would take; its caller has checked them. Indexes are numbered by their place.
func newSchema(x *Indexes) (*schema, error) {
	s := &schema{groups: map[string]*groupSchema{}, none: &groupSchema{}}
	var number uint32
	add := func(collection string, scope Scope, fields []IndexField) error {
		number++
		in := &index{number: number, scope: scope}
		for _, f := range fields {
			p, err := resource.ParseFieldPath(f.Path)
			if err != nil {
				return err
			}
			in.fields = append(in.fields, indexField{path: p, text: p.String(), mode: f.Mode})
		}
		g := s.make(collection)
		g.indexes = append(g.indexes, in)
		return nil
	}
	for _, c := range x.Composites {
		if err := add(c.Collection, c.Scope, c.Fields); err != nil {
			return nil, err
		}
	}
	for _, o := range x.Overrides {
		g := s.make(o.Collection)
		rule := new(fieldRule)
		for _, i := range o.Indexes {
			switch {
			case i.Scope == GroupScope && o.Path != "*":
				if err := add(o.Collection, GroupScope, []IndexField{{o.Path, i.Mode}}); err != nil {
					return nil, err
				}
			case i.Mode == Contains:
				rule.contains = true
			default:
				rule.order = true
			}
		}
		g.overrides[o.Path] = rule
		if o.TTL {
			p, err := resource.ParseFieldPath(o.Path)
			if err != nil {
				return nil, err
			}
			g.ttl = append(g.ttl, p)
		}
	}
	return s, nil
}

func (s *schema) make(id string) *groupSchema {
	g := s.groups[id]
	if g == nil {
		g = &groupSchema{id: id, overrides: map[string]*fieldRule{}}
		s.groups[id] = g
	}
	return g
}

func (s *schema) of(id string) *groupSchema {
	if g := s.groups[id]; g != nil {
		return g
	}
	return s.none
}

// rule finds what holds for a field: its own override, the nearest one of a map around it, the one for all, or the automatic indexes.
func (g *groupSchema) rule(path resource.FieldPath) fieldRule {
	if len(g.overrides) == 0 {
		return fieldRule{order: true, contains: true}
	}
	for n := len(path); n > 0; n-- {
		if r := g.overrides[path[:n].String()]; r != nil {
			return *r
		}
	}
	if r := g.overrides["*"]; r != nil {
		return *r
	}
	return fieldRule{order: true, contains: true}
}

// fingerprint changes when the entries of the same documents would.
func (x *Indexes) fingerprint() []byte {
	b, err := json.Marshal(x)
	if err != nil {
		return nil // strings and booleans always marshal
	}
	return append([]byte("1 "), b...)
}

// entry is one key of an index and what stands at it: how long the document's part at the key's end is, and the collection where the
// key does not say it.
type entry struct{ key, value []byte }

// Modes of automatic entries.
const (
	orderMode    = 1
	containsMode = 2
)

// entries are all index entries of a document.
func (s *schema) entries(d *document) ([]entry, error) {
	fields, err := d.fields()
	if err != nil {
		return nil, err
	}
	g := s.of(d.collection.id())
	var out []entry
	out = automatic(out, g, d, nil, fields)
	for _, x := range g.indexes {
		out = x.entries(out, d, fields)
	}
	for _, p := range g.ttl {
		if t, ok := lookup(fields, p).GetValueType().(*pb.Value_TimestampValue); ok {
			out = append(out, entry{expiryKey(value.Micros(t.TimestampValue), d.key()[prefixBytes:]), nil})
		}
	}
	return out, nil
}

// automatic adds an entry for each field of each map, and for each element of an array.
func automatic(out []entry, g *groupSchema, d *document, at resource.FieldPath, fields map[string]*pb.Value) []entry {
	for name, v := range fields {
		path := append(at[:len(at):len(at)], name)
		rule := g.rule(path)
		head := automaticHead(d.collection.number, path.String())
		if rule.order {
			out = append(out, automaticEntry(head, orderMode, v, d.id))
		}
		switch {
		case rule.contains && value.ClassOf(v) == value.Array:
			seen := make(map[string]bool, len(v.GetArrayValue().GetValues()))
			for _, e := range v.GetArrayValue().GetValues() {
				if in := automaticEntry(head, containsMode, e, d.id); !seen[string(in.key)] {
					seen[string(in.key)] = true
					out = append(out, in)
				}
			}
		case value.ClassOf(v) == value.Map:
			out = automatic(out, g, d, path, v.GetMapValue().GetFields())
		}
	}
	return out
}

// automaticHead is what the entries of one field of one collection begin with.
func automaticHead(collection uint32, path string) []byte {
	return resource.AppendText(numberKey(automaticKind, collection), path)
}

func automaticEntry(head []byte, mode byte, v *pb.Value, id string) entry {
	k := concat(head, []byte{mode})
	k, _ = value.AppendIndexed(k, v)
	n := len(k)
	k = resource.AppendSegment(k, id)
	return entry{k, binary.AppendUvarint(nil, uint64(len(k)-n))}
}

// entries adds the entries of one index: none where the document lacks a field, one for each element where a field is an array that is
// looked into.
func (x *index) entries(out []entry, d *document, fields map[string]*pb.Value) []entry {
	heads := [][]byte{x.head(d.collection)}
	for _, f := range x.fields {
		v := lookup(fields, f.path)
		if v == nil {
			return out
		}
		values := []*pb.Value{v}
		if f.mode == Contains {
			values = v.GetArrayValue().GetValues()
		}
		var next [][]byte
		for _, h := range heads {
			for _, e := range values {
				next = append(next, appendField(concat(h), f.mode, e))
			}
		}
		heads = next
	}
	slices.SortFunc(heads, slices.Compare[[]byte])
	for _, k := range slices.CompactFunc(heads, slices.Equal[[]byte]) {
		n := len(k)
		k = x.appendName(k, d.collection, d.id)
		v := binary.AppendUvarint(nil, uint64(len(k)-n))
		out = append(out, entry{k, binary.BigEndian.AppendUint32(v, d.collection.number)})
	}
	return out
}

// head is what the entries of the index begin with: those of one collection, or of one database.
func (x *index) head(c *collection) []byte {
	if x.scope == GroupScope {
		return x.headOf(c.database)
	}
	return x.headOf(c.number)
}

func (x *index) headOf(number uint32) []byte {
	return binary.BigEndian.AppendUint32(numberKey(compositeKind, x.number), number)
}

func (x *index) appendName(k []byte, c *collection, id string) []byte {
	n := len(k)
	if x.scope == GroupScope {
		k = resource.AppendPath(k, c.path)
	}
	k = resource.AppendSegment(k, id)
	if x.scope == GroupScope {
		k = append(k, pathEnd)
	}
	if x.descending() {
		value.Invert(k[n:])
	}
	return k
}

// pathEnd ends a path in an entry of group scope, so that a document sorts right before those below it in both directions.
const pathEnd = 0

// appendField adds a field's value as the mode sorts it.
func appendField(k []byte, m Mode, v *pb.Value) []byte {
	n := len(k)
	k, _ = value.AppendIndexed(k, v)
	if m == Descending {
		value.Invert(k[n:])
	}
	return k
}
