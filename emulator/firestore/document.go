package firestore

import (
	"encoding/binary"
	"fmt"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
)

// document is one version of a document. Its fields are kept as they travel on the wire: a read that need not look into them copies
// bytes and parses nothing.
type document struct {
	collection *collection
	id         string
	created    int64  // microseconds since 1970, as all times of the store
	updated    int64  // the commit that made this version
	raw        []byte // the field "fields" of google.firestore.v1.Document in wire format, keys in order
	parsed     map[string]*pb.Value
}

const documentHead = 16 // created and updated, in front of the fields

func (d *document) path() resource.Path { return d.collection.path.Child(d.id) }

func (d *document) name() string { return d.collection.name + "/" + d.id }

func (d *document) key() []byte { return documentKey(d.collection.number, d.id) }

func (d *document) encode() []byte {
	b := make([]byte, 0, documentHead+len(d.raw))
	b = binary.BigEndian.AppendUint64(b, uint64(d.created))
	b = binary.BigEndian.AppendUint64(b, uint64(d.updated))
	return append(b, d.raw...)
}

// decodeDocument keeps a part of b.
func decodeDocument(c *collection, id string, b []byte) (*document, error) {
	if len(b) < documentHead {
		return nil, fmt.Errorf("document %s/%s is damaged: %d bytes", c.path, id, len(b))
	}
	return &document{
		collection: c, id: id,
		created: int64(binary.BigEndian.Uint64(b)),
		updated: int64(binary.BigEndian.Uint64(b[8:])),
		raw:     b[documentHead:],
	}, nil
}

// fields parses the document's fields once; callers must not change them.
func (d *document) fields() (map[string]*pb.Value, error) {
	if d.parsed == nil {
		fields, err := parseFields(d.raw)
		if err != nil {
			return nil, fmt.Errorf("document %s is damaged: %w", d.name(), err)
		}
		d.parsed = fields
	}
	return d.parsed, nil
}

func parseFields(raw []byte) (map[string]*pb.Value, error) {
	var m pb.Document
	if err := proto.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	if m.Fields == nil {
		m.Fields = map[string]*pb.Value{}
	}
	return m.Fields, nil
}

// wireFields writes fields so that equal ones give equal bytes.
func wireFields(fields map[string]*pb.Value) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(&pb.Document{Fields: fields})
}

// field finds a field; of the document's identifier it makes a reference. Nil means that there is none.
func (d *document) field(path resource.FieldPath) (*pb.Value, error) {
	if path.IsDocumentID() {
		return &pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: d.name()}}, nil
	}
	fields, err := d.fields()
	if err != nil {
		return nil, err
	}
	return lookup(fields, path), nil
}

func lookup(fields map[string]*pb.Value, path resource.FieldPath) *pb.Value {
	for i, name := range path {
		v := fields[name]
		if i == len(path)-1 || v == nil {
			return v
		}
		fields = v.GetMapValue().GetFields()
	}
	return nil
}

// message is the document as clients get it. The fields go as they are stored: bytes that the message does not look into.
func (d *document) message(mask projection) (*pb.Document, error) {
	if mask == nil {
		b := make([]byte, 0, len(d.raw)+len(d.id)+160)
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendString(b, d.name())
		b = append(b, d.raw...)
		b = appendTime(b, 3, d.created)
		b = appendTime(b, 4, d.updated)
		m := new(pb.Document)
		m.ProtoReflect().SetUnknown(b)
		return m, nil
	}
	fields, err := d.fields()
	if err != nil {
		return nil, err
	}
	return &pb.Document{
		Name: d.name(), Fields: mask.apply(fields),
		CreateTime: timestamp(d.created), UpdateTime: timestamp(d.updated),
	}, nil
}

func appendTime(b []byte, field protowire.Number, micros int64) []byte {
	seconds, nanos := split(micros)
	var t []byte
	if seconds != 0 {
		t = protowire.AppendVarint(protowire.AppendTag(t, 1, protowire.VarintType), uint64(seconds))
	}
	if nanos != 0 {
		t = protowire.AppendVarint(protowire.AppendTag(t, 2, protowire.VarintType), uint64(nanos))
	}
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), t)
}

func split(micros int64) (seconds, nanos int64) {
	seconds, rest := micros/1_000_000, micros%1_000_000
	if rest < 0 {
		seconds, rest = seconds-1, rest+1_000_000
	}
	return seconds, rest * 1000
}

func timestamp(micros int64) *timestamppb.Timestamp {
	seconds, nanos := split(micros)
	return &timestamppb.Timestamp{Seconds: seconds, Nanos: int32(nanos)}
}

// projection is a set of fields to return; nil is all of them, an empty one none.
type projection []resource.FieldPath

// apply copies what the projection names; fields it names that are not there are left out.
func (p projection) apply(fields map[string]*pb.Value) map[string]*pb.Value {
	out := newEdit(nil)
	for _, path := range p {
		if v := lookup(fields, path); v != nil && !path.IsDocumentID() {
			out.set(path, v)
		}
	}
	return out.fields
}
