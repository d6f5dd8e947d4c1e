package firestore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
)

// Indexes are the composite indexes, and the fields whose indexing differs from the automatic one. The zero value is a database as it
// is made: every field indexed automatically, no composite index, nothing expires.
type Indexes struct {
	Composites []Composite
	Overrides  []Override
}

// Scope says whether an index serves queries of one collection, or of all with the same identifier.
type Scope string

// The scopes, in the words of the file.
const (
	CollectionScope Scope = "COLLECTION"
	GroupScope      Scope = "COLLECTION_GROUP"
)

// Mode is how an index holds a field.
type Mode string

// The modes, in the words of the file.
const (
	Ascending  Mode = "ASCENDING"
	Descending Mode = "DESCENDING"
	Contains   Mode = "CONTAINS"
)

// Composite is an index over several fields.
type Composite struct {
	Collection string // identifier of the collection, or of the group
	Scope      Scope
	Fields     []IndexField
}

// IndexField is one field of a composite index, its path as clients write it.
type IndexField struct {
	Path string
	Mode Mode
}

// Override says how one field is indexed instead of automatically.
type Override struct {
	Collection string // identifier of the collections it holds for
	Path       string // "*" for every field that has no override of its own
	TTL        bool   // documents expire at the time in this field
	Indexes    []OverrideIndex
}

// OverrideIndex is one index of a field that has an override.
type OverrideIndex struct {
	Scope Scope
	Mode  Mode
}

const maxIndexFile = 1 << 20 // bytes of a file of indexes

// ParseIndexes reads a file of indexes in the format of the Firebase command line (firestore.indexes.json). Fields that it does not know
// are errors: an index that is silently not there costs more than a message.
func ParseIndexes(data []byte) (*Indexes, error) {
	if len(data) > maxIndexFile {
		return nil, fmt.Errorf("parse indexes: more than %d bytes", maxIndexFile)
	}
	var file indexFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("parse indexes: %w", err)
	}
	if d.More() {
		return nil, errors.New("parse indexes: something follows the object")
	}
	out := new(Indexes)
	for i, x := range file.Indexes {
		c, err := x.composite()
		if err != nil {
			return nil, fmt.Errorf("parse indexes: indexes[%d]: %w", i, err)
		}
		out.Composites = append(out.Composites, c)
	}
	for i, x := range file.FieldOverrides {
		o, err := x.override()
		if err != nil {
			return nil, fmt.Errorf("parse indexes: fieldOverrides[%d]: %w", i, err)
		}
		out.Overrides = append(out.Overrides, o)
	}
	return out, nil
}

type indexFile struct {
	Indexes        []compositeEntry `json:"indexes"`
	FieldOverrides []overrideEntry  `json:"fieldOverrides"`
}

type compositeEntry struct {
	CollectionGroup string       `json:"collectionGroup"`
	CollectionID    string       `json:"collectionId"` // an older name of collectionGroup
	QueryScope      Scope        `json:"queryScope"`
	Density         string       `json:"density"`
	Multikey        bool         `json:"multikey"`
	APIScope        string       `json:"apiScope"`
	Unique          bool         `json:"unique"`
	Fields          []fieldEntry `json:"fields"`
}

type fieldEntry struct {
	FieldPath    string          `json:"fieldPath"`
	Order        Mode            `json:"order"`
	ArrayConfig  Mode            `json:"arrayConfig"`
	Mode         Mode            `json:"mode"` // an older name of order
	VectorConfig json.RawMessage `json:"vectorConfig"`
}

type overrideEntry struct {
	CollectionGroup string `json:"collectionGroup"`
	FieldPath       string `json:"fieldPath"`
	TTL             bool   `json:"ttl"`
	Indexes         []struct {
		Order       Mode   `json:"order"`
		ArrayConfig Mode   `json:"arrayConfig"`
		QueryScope  Scope  `json:"queryScope"`
		Density     string `json:"density"`
		Multikey    bool   `json:"multikey"`
		APIScope    string `json:"apiScope"`
		Unique      bool   `json:"unique"`
	} `json:"indexes"`
}

func (x compositeEntry) composite() (Composite, error) {
	c := Composite{Collection: x.CollectionGroup + x.CollectionID, Scope: x.QueryScope}
	if c.Scope == "" {
		c.Scope = CollectionScope
	}
	if err := checkScope(c.Collection, c.Scope); err != nil {
		return c, err
	}
	for _, f := range x.Fields {
		if f.FieldPath == resource.DocumentID { // every index ends with it
			continue
		}
		if f.VectorConfig != nil {
			return c, fmt.Errorf("field %q: vector indexes are not supported (find-nearest needs none)", f.FieldPath)
		}
		field, err := checkField(f.FieldPath, f.Order+f.ArrayConfig+f.Mode)
		if err != nil {
			return c, err
		}
		c.Fields = append(c.Fields, field)
	}
	if len(c.Fields) == 0 {
		return c, errors.New("no fields")
	}
	return c, nil
}

func (x overrideEntry) override() (Override, error) {
	o := Override{Collection: x.CollectionGroup, Path: x.FieldPath, TTL: x.TTL}
	if err := checkScope(o.Collection, CollectionScope); err != nil {
		return o, err
	}
	if o.Path != "*" {
		if _, err := checkField(o.Path, Ascending); err != nil {
			return o, err
		}
	} else if o.TTL {
		return o, errors.New("a time to live needs one field")
	}
	for _, i := range x.Indexes {
		scope := i.QueryScope
		if scope == "" {
			scope = CollectionScope
		}
		if err := checkScope(o.Collection, scope); err != nil {
			return o, err
		}
		if _, err := checkField("f", i.Order+i.ArrayConfig); err != nil {
			return o, err
		}
		o.Indexes = append(o.Indexes, OverrideIndex{Scope: scope, Mode: i.Order + i.ArrayConfig})
	}
	return o, nil
}

func checkScope(collection string, s Scope) error {
	if s != CollectionScope && s != GroupScope {
		return fmt.Errorf("queryScope %q is neither %s nor %s", s, CollectionScope, GroupScope)
	}
	if err := resource.CheckID(collection); err != nil {
		return fmt.Errorf("collectionGroup: %w", err)
	}
	return nil
}

func checkField(path string, m Mode) (IndexField, error) {
	p, err := resource.ParseFieldPath(path)
	if err != nil {
		return IndexField{}, err
	}
	if m = Mode(strings.TrimPrefix(string(m), "ARRAY_")); m != Ascending && m != Descending && m != Contains {
		return IndexField{}, fmt.Errorf("field %q: order or arrayConfig %q is none of %s, %s, %s", path, m, Ascending, Descending, Contains)
	}
	return IndexField{Path: p.String(), Mode: m}, nil
}
