package resource

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// DocumentID is the field by which queries speak of a document's name.
const DocumentID = "__name__"

// FieldPath names a field within a document, from the outside in.
type FieldPath []string

// ParseFieldPath reads a path as clients write it: names separated by dots, those that are not simple within backticks, where a
// backslash escapes a backtick or a backslash.
func ParseFieldPath(text string) (FieldPath, error) {
	p, err := parseFieldPath(text)
	if err != nil {
		return nil, fmt.Errorf("field path %q: %w", text, err)
	}
	return p, nil
}

func parseFieldPath(text string) (FieldPath, error) {
	if len(text) > maxNameBytes {
		return nil, fmt.Errorf("longer than %d bytes", maxNameBytes)
	}
	if !utf8.ValidString(text) {
		return nil, errors.New("not UTF-8")
	}
	var path FieldPath
	for {
		name, rest, err := cutField(text)
		if err != nil {
			return nil, err
		}
		path = append(path, name)
		if rest == "" {
			return path, checkFieldPath(path)
		}
		if rest[0] != '.' {
			return nil, errors.New("a dot is missing after a backtick")
		}
		text = rest[1:]
	}
}

func cutField(text string) (name, rest string, err error) {
	if strings.HasPrefix(text, "`") {
		return cutQuoted(text[1:])
	}
	end := strings.IndexByte(text, '.')
	if end < 0 {
		end = len(text)
	}
	name, rest = text[:end], text[end:]
	if name == "" {
		return "", "", errors.New("a name is empty")
	}
	if !isSimple(name) {
		return "", "", fmt.Errorf("%q must be within backticks", name)
	}
	return name, rest, nil
}

func cutQuoted(text string) (name, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '`':
			if b.Len() == 0 {
				return "", "", errors.New("a name is empty")
			}
			return b.String(), text[i+1:], nil
		case '\\':
			i++
			if i == len(text) || text[i] != '`' && text[i] != '\\' {
				return "", "", errors.New("a backslash escapes neither backtick nor backslash")
			}
		}
		b.WriteByte(text[i])
	}
	return "", "", errors.New("a backtick is not closed")
}

func isSimple(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

func checkFieldPath(p FieldPath) error {
	for i, name := range p {
		if len(p) == 1 && name == DocumentID {
			return nil
		}
		if i == 0 {
			if err := CheckFieldName(name); err != nil {
				return err
			}
		}
		if len(name) > maxIDBytes {
			return fmt.Errorf("a name is longer than %d bytes", maxIDBytes)
		}
	}
	return nil
}

// CheckFieldName checks the name of a field of a document: not empty, not too long, not reserved.
func CheckFieldName(name string) error {
	switch {
	case name == "":
		return errors.New("field name is empty")
	case len(name) > maxIDBytes:
		return fmt.Errorf("field name is longer than %d bytes", maxIDBytes)
	case !utf8.ValidString(name):
		return fmt.Errorf("field name %q is not UTF-8", name)
	case len(name) >= 4 && strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__"):
		return fmt.Errorf("field name %q is reserved", name)
	}
	return nil
}

// String writes the path as clients do; ParseFieldPath reads it back.
func (p FieldPath) String() string {
	var b strings.Builder
	for i, name := range p {
		if i > 0 {
			b.WriteByte('.')
		}
		if isSimple(name) {
			b.WriteString(name)
			continue
		}
		b.WriteByte('`')
		b.WriteString(strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name))
		b.WriteByte('`')
	}
	return b.String()
}

// IsDocumentID says whether the path speaks of the document's name.
func (p FieldPath) IsDocumentID() bool { return len(p) == 1 && p[0] == DocumentID }

// Equal says whether two paths are one.
func (p FieldPath) Equal(q FieldPath) bool { return slices.Equal(p, q) }

// HasPrefix says whether p is q or lies within it.
func (p FieldPath) HasPrefix(q FieldPath) bool {
	return len(p) >= len(q) && slices.Equal(p[:len(q)], q)
}
