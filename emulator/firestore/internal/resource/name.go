// Package resource knows Firestore's names: of databases, documents and collections, and of fields within a document.
package resource

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The documented limits of names.
const (
	maxIDBytes   = 1500
	maxNameBytes = 6144 // 6 KiB
	maxSegments  = 200  // 100 levels of subcollections
)

// Database is a database's name, such as projects/p/databases/(default).
type Database string

// Path is what follows "/documents/" in a name: collection and document identifiers by turns. The root has none.
type Path []string

// ParseDatabase checks the name of a database.
func ParseDatabase(name string) (Database, error) {
	db, rest, err := split(name)
	if err != nil {
		return "", err
	}
	if rest != "" {
		return "", fmt.Errorf("database name %q has a path", name)
	}
	return db, nil
}

// ParseParent checks the name of a document, or of a database's root (".../documents"), under which collections are.
func ParseParent(name string) (Database, Path, error) {
	db, path, err := parse(name)
	if err == nil && len(path)%2 != 0 {
		err = fmt.Errorf("%q names a collection, not a document", name)
	}
	return db, path, err
}

// ParseDocument checks the name of a document.
func ParseDocument(name string) (Database, Path, error) {
	db, path, err := ParseParent(name)
	if err == nil && len(path) == 0 {
		err = fmt.Errorf("document name %q has no path", name)
	}
	return db, path, err
}

func parse(name string) (Database, Path, error) {
	if len(name) > maxNameBytes {
		return "", nil, fmt.Errorf("document name is longer than %d bytes", maxNameBytes)
	}
	db, rest, err := split(name)
	if err != nil {
		return "", nil, err
	}
	if rest == "documents" {
		return db, nil, nil
	}
	text, ok := strings.CutPrefix(rest, "documents/")
	if !ok {
		return "", nil, fmt.Errorf("document name %q lacks \"/documents\" after its database", name)
	}
	if strings.Count(text, "/") >= maxSegments {
		return "", nil, fmt.Errorf("document name has more than %d segments", maxSegments)
	}
	path := Path(strings.Split(text, "/"))
	for _, id := range path {
		if err := CheckID(id); err != nil {
			return "", nil, fmt.Errorf("document name %q: %w", name, err)
		}
	}
	return db, path, nil
}

// split takes the database off a name; rest is what follows its slash.
func split(name string) (db Database, rest string, err error) {
	parts := strings.SplitN(name, "/", 5)
	if len(parts) < 4 || parts[0] != "projects" || parts[2] != "databases" || parts[1] == "" || parts[3] == "" {
		return "", "", fmt.Errorf("name %q does not begin with projects/{project}/databases/{database}", name)
	}
	if len(parts) == 5 {
		rest = parts[4]
		if rest == "" {
			return "", "", fmt.Errorf("name %q ends in a slash", name)
		}
	}
	db = Database(name[:len(parts[0])+len(parts[1])+len(parts[2])+len(parts[3])+3])
	if !utf8.ValidString(string(db)) || len(db) > maxIDBytes {
		return "", "", errors.New("name of the database is too long or not UTF-8")
	}
	return db, rest, nil
}

// CheckID checks one identifier of a collection or document against the documented rules.
func CheckID(id string) error {
	switch {
	case id == "":
		return errors.New("an identifier is empty")
	case len(id) > maxIDBytes:
		return fmt.Errorf("an identifier is longer than %d bytes", maxIDBytes)
	case id == "." || id == "..":
		return fmt.Errorf("identifier %q is not allowed", id)
	case !utf8.ValidString(id):
		return fmt.Errorf("identifier %q is not UTF-8", id)
	case strings.Contains(id, "/"):
		return fmt.Errorf("identifier %q has a slash", id)
	case len(id) >= 4 && strings.HasPrefix(id, "__") && strings.HasSuffix(id, "__"):
		if _, ok := numericID(id); !ok {
			return fmt.Errorf("identifier %q is reserved", id)
		}
	}
	return nil
}

// Collection is the path of the collection a document is in.
func (p Path) Collection() Path { return p[:len(p)-1] }

// ID is the last identifier.
func (p Path) ID() string { return p[len(p)-1] }

// Child is the path with further identifiers.
func (p Path) Child(ids ...string) Path {
	return append(append(make(Path, 0, len(p)+len(ids)), p...), ids...)
}

// String is the path with slashes.
func (p Path) String() string { return strings.Join(p, "/") }

// HasPrefix says whether p is q or lies under it.
func (p Path) HasPrefix(q Path) bool {
	if len(p) < len(q) {
		return false
	}
	for i := range q {
		if p[i] != q[i] {
			return false
		}
	}
	return true
}

// Name is the full resource name of a path in the database; of the root, its ".../documents".
func (d Database) Name(p Path) string {
	if len(p) == 0 {
		return string(d) + "/documents"
	}
	return string(d) + "/documents/" + p.String()
}
