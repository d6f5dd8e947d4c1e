package resource

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Marks of the encoding. A segment is one of two marks and its content; a list of segments ends with pathEnd, so a parent sorts first.
const (
	pathEnd     = 0
	numericMark = 1 // documents imported from Datastore, __id7__: before all others, by number
	textMark    = 2

	escape  = 0x00 // within text
	escaped = 0xFF // escape, escaped: a zero byte
	textEnd = 0x01 // escape, textEnd: the end
)

// AppendText appends bytes so that they sort as they are and none is a prefix of another.
func AppendText[T string | []byte](dst []byte, text T) []byte {
	for i := range len(text) {
		if text[i] == escape {
			dst = append(dst, escape, escaped)
		} else {
			dst = append(dst, text[i])
		}
	}
	return append(dst, escape, textEnd)
}

// CutText takes one AppendText off the front of b.
func CutText(b []byte) (text string, rest []byte, err error) {
	var out []byte
	for {
		i := bytes.IndexByte(b, escape)
		if i < 0 || i+1 >= len(b) {
			return "", nil, fmt.Errorf("encoded text has no end")
		}
		out = append(out, b[:i]...)
		mark := b[i+1]
		b = b[i+2:]
		switch mark {
		case textEnd:
			return string(out), b, nil
		case escaped:
			out = append(out, escape)
		default:
			return "", nil, fmt.Errorf("encoded text has an unknown escape %#x", mark)
		}
	}
}

// AppendSegment appends one identifier in the order of names.
func AppendSegment(dst []byte, id string) []byte {
	if n, ok := numericID(id); ok {
		return binary.BigEndian.AppendUint64(append(dst, numericMark), uint64(n)^1<<63)
	}
	return AppendText(append(dst, textMark), id)
}

// CutSegment takes one AppendSegment off the front of b.
func CutSegment(b []byte) (id string, rest []byte, err error) {
	switch {
	case len(b) >= 9 && b[0] == numericMark:
		return fmt.Sprintf("__id%d__", int64(binary.BigEndian.Uint64(b[1:])^1<<63)), b[9:], nil
	case len(b) > 0 && b[0] == textMark:
		return CutText(b[1:])
	}
	return "", nil, fmt.Errorf("encoded identifier has an unknown mark")
}

// AppendPath appends the identifiers without an end, so that it is a prefix of everything under the path.
func AppendPath(dst []byte, p Path) []byte {
	for _, id := range p {
		dst = AppendSegment(dst, id)
	}
	return dst
}

// CutPath takes as many identifiers off b as there are.
func CutPath(b []byte) (Path, error) {
	var p Path
	for len(b) > 0 {
		id, rest, err := CutSegment(b)
		if err != nil {
			return nil, err
		}
		p, b = append(p, id), rest
	}
	return p, nil
}

// AppendName appends a full resource name, as a reference value has it.
func AppendName(dst []byte, name string) []byte {
	for id := range strings.SplitSeq(name, "/") {
		dst = AppendSegment(dst, id)
	}
	return append(dst, pathEnd)
}

// CompareIDs orders two identifiers: numeric ones first, by number; the others by their UTF-8 bytes.
func CompareIDs(a, b string) int {
	m, aNumeric := numericID(a)
	n, bNumeric := numericID(b)
	switch {
	case aNumeric && bNumeric:
		if m < n {
			return -1
		} else if m > n {
			return 1
		}
		return 0
	case aNumeric:
		return -1
	case bNumeric:
		return 1
	}
	return strings.Compare(a, b)
}

// ComparePaths orders two paths segment by segment, a parent first.
func ComparePaths(a, b Path) int {
	for i := range min(len(a), len(b)) {
		if c := CompareIDs(a[i], b[i]); c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

// CompareNames orders two full resource names segment by segment.
func CompareNames(a, b string) int {
	return ComparePaths(strings.Split(a, "/"), strings.Split(b, "/"))
}

// numericID reads __id7__.
func numericID(id string) (int64, bool) {
	digits, ok := strings.CutPrefix(id, "__id")
	if !ok {
		return 0, false
	}
	if digits, ok = strings.CutSuffix(digits, "__"); !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != digits {
		return 0, false
	}
	return n, true
}
