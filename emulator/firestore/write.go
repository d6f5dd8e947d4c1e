package firestore

import (
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/firestore/internal/value"
)

// write is one write of a commit, checked as far as that goes without the document it is for.
type write struct {
	db         resource.Database
	path       resource.Path
	remove     bool
	verify     bool                 // changes nothing: a document_transform without transforms
	fields     map[string]*pb.Value // of an update
	raw        []byte               // of an update without mask and transforms: fields in wire format
	mask       []resource.FieldPath // nil: the update replaces the document
	transforms []transform
	require    precondition
}

// precondition is what a write demands of the document as it is.
type precondition struct {
	exists  *bool
	updated *int64 // microseconds
}

// parseWrites checks writes of a commit to db.
func parseWrites(db resource.Database, in []*pb.Write) ([]*write, error) {
	out := make([]*write, len(in))
	for i, w := range in {
		p, err := parseWrite(db, w)
		if err != nil {
			return nil, status.Errorf(status.Code(err), "writes[%d]: %s", i, message(err))
		}
		out[i] = p
	}
	return out, nil
}

func parseWrite(db resource.Database, in *pb.Write) (*write, error) {
	w := new(write)
	var name string
	var transforms []*pb.DocumentTransform_FieldTransform
	switch op := in.GetOperation().(type) {
	case *pb.Write_Update:
		name = op.Update.GetName()
		transforms = in.GetUpdateTransforms()
		if err := w.parseUpdate(op.Update, in.GetUpdateMask(), len(transforms) > 0); err != nil {
			return nil, err
		}
	case *pb.Write_Delete:
		name, w.remove = op.Delete, true
	case *pb.Write_Transform:
		name = op.Transform.GetDocument()
		transforms = op.Transform.GetFieldTransforms()
		w.mask = []resource.FieldPath{} // all that is not transformed stays
		w.verify = len(transforms) == 0
	default:
		return nil, invalid("a write has no operation that is known")
	}
	if in.GetUpdateMask() != nil && in.GetUpdate() == nil {
		return nil, invalid("update_mask is only for updates")
	}
	if len(in.GetUpdateTransforms()) > 0 && in.GetUpdate() == nil {
		return nil, invalid("update_transforms are only for updates")
	}
	var err error
	if w.db, w.path, err = resource.ParseDocument(name); err != nil {
		return nil, invalid("%v", err)
	}
	if w.db != db {
		return nil, invalid("document %q is not in the database %q of the request", name, db)
	}
	if w.transforms, err = parseTransforms(transforms); err != nil {
		return nil, err
	}
	w.require, err = parsePrecondition(in.GetCurrentDocument())
	return w, err
}

func (w *write) parseUpdate(d *pb.Document, mask *pb.DocumentMask, transformed bool) error {
	w.fields = d.GetFields()
	if w.fields == nil {
		w.fields = map[string]*pb.Value{}
	}
	if err := checkFields(w.fields); err != nil {
		return status.Error(status.Code(err), message(err))
	}
	if mask != nil {
		var err error
		w.mask, err = parseMask(mask)
		return err
	}
	if transformed {
		return nil
	}
	var err error
	w.raw, err = wireFields(w.fields)
	return err
}

// parseMask never gives nil. Paths of a mask must not lie within one another.
func parseMask(m *pb.DocumentMask) ([]resource.FieldPath, error) {
	out := make([]resource.FieldPath, 0, len(m.GetFieldPaths()))
	for _, text := range m.GetFieldPaths() {
		p, err := resource.ParseFieldPath(text)
		if err != nil {
			return nil, invalid("mask: %v", err)
		}
		out = append(out, p)
	}
	return out, nil
}

func parsePrecondition(in *pb.Precondition) (precondition, error) {
	var p precondition
	switch c := in.GetConditionType().(type) {
	case *pb.Precondition_Exists:
		p.exists = &c.Exists
	case *pb.Precondition_UpdateTime:
		t := c.UpdateTime
		if t == nil {
			return p, invalid("current_document.update_time is empty")
		}
		if t.GetNanos()%1000 != 0 {
			return p, invalid("current_document.update_time is finer than a microsecond")
		}
		micros := value.Micros(t)
		p.updated = &micros
	}
	return p, nil
}

// check says why a document, nil if there is none, does not meet the precondition.
func (p precondition) check(name string, d *document) error {
	switch {
	case p.exists != nil && *p.exists && d == nil:
		return status.Errorf(codes.NotFound, "No document to update: %s", name)
	case p.exists != nil && !*p.exists && d != nil:
		return status.Errorf(codes.AlreadyExists, "Document already exists: %s", name)
	case p.updated != nil && (d == nil || *p.updated != d.updated):
		var stored int64
		if d != nil {
			stored = d.updated
		}
		return status.Errorf(codes.FailedPrecondition, "the stored version (%d) does not match the required base version (%d): %s", stored, *p.updated, name)
	}
	return nil
}

// result is the document's fields after the write, and what its transforms gave. A nil map: there is no document then.
func (w *write) result(old *document, now int64) (fields map[string]*pb.Value, raw []byte, results []*pb.Value, err error) {
	switch {
	case w.remove:
		return nil, nil, nil, nil
	case w.raw != nil && w.mask == nil && len(w.transforms) == 0:
		return w.fields, w.raw, nil, nil
	}
	e := newEdit(w.fields)
	if w.mask != nil {
		if e, err = w.masked(old); err != nil {
			return nil, nil, nil, err
		}
	}
	for _, t := range w.transforms {
		results = append(results, t.apply(e, now))
	}
	raw, err = wireFields(e.fields)
	return e.fields, raw, results, err
}

// masked is the old document with the fields of the mask replaced or removed.
func (w *write) masked(old *document) (*edit, error) {
	var before map[string]*pb.Value
	if old != nil {
		var err error
		if before, err = old.fields(); err != nil {
			return nil, err
		}
	}
	e := newEdit(before)
	for _, path := range w.mask {
		if v := lookup(w.fields, path); v != nil {
			e.set(path, v)
		} else {
			e.delete(path)
		}
	}
	return e, nil
}
