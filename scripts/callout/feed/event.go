// Package feed sends events to the API: one, or a file of them in batches, again and again until they are accepted or refused.
package feed

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Limits of one request (callout.md sections 3 and 5).
const (
	MaxEvents = 1000
	MaxBytes  = 8 << 20
)

// form is how several events are written in one request.
type form struct{ contentType, open, end string }

var (
	cloudEvents = form{"application/cloudevents-batch+json", `[`, `]`}
	// reference is the payload that targets receive. Its events have no source, which is part of what makes two events the same.
	reference = form{"application/json", `{"events":[`, `]}`}
)

// Event is one line of a file.
type Event struct {
	// Line counts from 1.
	Line int
	// Read is how many bytes of the file end with this line.
	Read int64
	// Problem says why the line is no event; it has no JSON then.
	Problem string

	form form
	json []byte
}

// Reader reads a file of events, one JSON object a line, empty lines left out: CloudEvents, events in the reference's shape, or
// {"type","subject","data"}. What has no id is given one that follows from the line's content and from how many lines like it stood
// before it: to read the file again, or a longer or mended one, gives the same events the same ids.
type Reader struct {
	lines  *bufio.Reader
	source string
	line   int
	read   int64
	seen   map[[16]byte]uint32 // lines without an id
}

// NewReader reads r. Source is that of CloudEvents that name none.
func NewReader(r io.Reader, source string) *Reader {
	return &Reader{lines: bufio.NewReaderSize(r, 64<<10), source: source, seen: map[[16]byte]uint32{}}
}

// Next is the next line's event, one with a Problem where the line is none, or io.EOF.
func (r *Reader) Next() (Event, error) {
	for {
		text, err := r.readLine()
		if err != nil {
			return Event{}, err
		}
		event := Event{Line: r.line, Read: r.read}
		if text == nil {
			event.Problem = fmt.Sprintf("the line is longer than %d MiB", MaxBytes>>20)
			return event, nil
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		if event.form, event.json, err = r.complete(text); err != nil {
			event.Problem = err.Error()
		}
		return event, nil
	}
}

// readLine is the next line, nil where it is longer than a request may be.
func (r *Reader) readLine() ([]byte, error) {
	r.line++
	line := []byte{}
	for {
		part, err := r.lines.ReadSlice('\n')
		r.read += int64(len(part))
		if line != nil {
			line = append(line, part...)
		}
		if len(line) > MaxBytes-len(reference.open)-len(reference.end) {
			line = nil
		}
		switch {
		case err == nil, errors.Is(err, io.EOF) && len(part) > 0:
			return line, nil
		case errors.Is(err, io.EOF):
			if len(line) > 0 || line == nil {
				return line, nil // the buffer's end was the file's
			}
			return nil, io.EOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("line %d: %w", r.line, err)
		}
	}
}

// complete puts in what the API wants and the line leaves out. What the line holds stays as it is written, every digit of it; whether it
// is right is for the API to say.
func (r *Reader) complete(text []byte) (form, []byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil || fields == nil {
		return form{}, nil, errors.New("the line is not a JSON object")
	}
	var add []field
	f := cloudEvents
	switch {
	case fields["event_type"] != nil:
		f = reference
	case fields["type"] == nil:
		return form{}, nil, errors.New("the line has no \"type\" (or \"event_type\")")
	default:
		add = append(add, field{"specversion", "1.0"}, field{"source", r.source})
	}
	if isAbsent(fields["id"]) {
		add = append(add, field{"id", r.idFor(text)})
	}
	var added bytes.Buffer
	for _, a := range add {
		if !isAbsent(fields[a.name]) {
			continue
		}
		value, err := json.Marshal(a.value)
		if err != nil {
			return form{}, nil, err
		}
		fmt.Fprintf(&added, `,"%s":%s`, a.name, value)
	}
	if added.Len() == 0 {
		return f, text, nil
	}
	// At the end, where they win over a null that the line may hold.
	whole := append(bytes.TrimSuffix(text, []byte("}")), added.Bytes()...)
	return f, append(whole, '}'), nil
}

type field struct{ name, value string }

func isAbsent(value json.RawMessage) bool { return value == nil || string(value) == "null" }

// idFor makes the id of a line that has none.
func (r *Reader) idFor(text []byte) string {
	sum := sha256.Sum256(text)
	key := [16]byte(sum[:16])
	before := r.seen[key]
	r.seen[key]++
	id := sha256.Sum256(binary.BigEndian.AppendUint32(sum[:], before))
	return "line-" + hex.EncodeToString(id[:16])
}
