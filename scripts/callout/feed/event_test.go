package feed

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// line is an Event as tests write it.
type line struct {
	Line          int
	JSON, Problem string
	Reference     bool
}

func readAll(t *testing.T, text string) []line {
	t.Helper()
	var lines []line
	r := NewReader(strings.NewReader(text), "here")
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line{e.Line, string(e.json), e.Problem, e.form == reference})
	}
}

func TestReader(t *testing.T) {
	tests := map[string]struct {
		text string
		want []line
	}{
		"nothing": {"", nil},
		"a CloudEvent stays as it is": {`{"specversion":"1.0","id":"1","source":"/s","type":"a","data":{"n":1.10}}`,
			[]line{{1, `{"specversion":"1.0","id":"1","source":"/s","type":"a","data":{"n":1.10}}`, "", false}}},
		"what is missing is added": {`{"type":"a","id":"1" }`, []line{{1, `{"type":"a","id":"1" ,"specversion":"1.0","source":"here"}`, "", false}}},
		"null counts as missing":   {`{"type":"a","id":"1","source":null}`, []line{{1, `{"type":"a","id":"1","source":null,"specversion":"1.0","source":"here"}`, "", false}}},
		"the reference's shape":    {`{"event_type":"a","id":"1","sequence":18446744073709551615}`, []line{{1, `{"event_type":"a","id":"1","sequence":18446744073709551615}`, "", true}}},
		"other line ends, empty lines": {"\r\n{\"event_type\":\"a\",\"id\":\"1\"}\r\n\n \n{\"event_type\":\"b\",\"id\":\"2\"}",
			[]line{{2, `{"event_type":"a","id":"1"}`, "", true}, {5, `{"event_type":"b","id":"2"}`, "", true}}},
		"what is no event": {"[]\nnull\n{\"data\":1}\n{\n\"x\"",
			[]line{{1, "", "the line is not a JSON object", false}, {2, "", "the line is not a JSON object", false},
				{3, "", `the line has no "type" (or "event_type")`, false}, {4, "", "the line is not a JSON object", false}, {5, "", "the line is not a JSON object", false}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, readAll(t, test.text)); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReaderPassesOverLinesThatAreTooLong(t *testing.T) {
	long := `{"type":"a","data":"` + strings.Repeat("x", MaxBytes) + `"}`
	for name, text := range map[string]string{"inside": long + "\n" + `{"event_type":"b","id":"1"}`, "at the end": `{"event_type":"b","id":"1"}` + "\n" + long} {
		t.Run(name, func(t *testing.T) {
			lines := readAll(t, text)
			var problems, events int
			for _, l := range lines {
				switch {
				case l.Problem == "the line is longer than 8 MiB" && l.JSON == "":
					problems++
				case l.JSON == `{"event_type":"b","id":"1"}`:
					events++
				}
			}
			if len(lines) != 2 || problems != 1 || events != 1 {
				t.Errorf("got %d lines, %d of them too long and %d good", len(lines), problems, events)
			}
		})
	}
}

// ids reads the ids of a file's events by their data.
func ids(t *testing.T, text string) []string {
	t.Helper()
	var ids []string
	for _, l := range readAll(t, text) {
		var e struct{ ID string }
		if err := json.Unmarshal([]byte(l.JSON), &e); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	return ids
}

func TestIDsFollowFromContent(t *testing.T) {
	const a, b, c = `{"type":"a"}` + "\n", `{"type":"b"}` + "\n", `{"event_type":"c"}` + "\n"
	first := ids(t, a+b+a+c)
	seen := map[string]bool{}
	for _, id := range first {
		if seen[id] || len(id) != len("line-")+32 || strings.ContainsFunc(id, func(r rune) bool { return !strings.ContainsRune("line-0123456789abcdef", r) }) {
			t.Errorf("the id %q is not good, or not its own", id)
		}
		seen[id] = true
	}
	if diff := cmp.Diff(first, ids(t, a+b+a+c)); diff != "" {
		t.Errorf("the same file gives other ids (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff([]string{first[3], first[0], first[1], first[2]}, ids(t, "\n"+c+a+b+a)); diff != "" {
		t.Errorf("a rearranged file gives other ids (-want +got):\n%s", diff)
	}
}

func FuzzReader(f *testing.F) {
	f.Add("{\"type\":\"a\"}\n{\"event_type\":\"b\",\"id\":null}\n\n[]")
	f.Add(`{"type":"a","id":"x","specversion":"1.0","source":"s"}`)
	f.Add("{\"type\":\"a\"}}\n{\"type\":\"\xff\"}")
	f.Fuzz(func(t *testing.T, text string) {
		r := NewReader(strings.NewReader(text), "here")
		last := 0
		for {
			e, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if e.Line <= last || e.Read > int64(len(text)) {
				t.Fatalf("line %d after %d, %d of %d bytes", e.Line, last, e.Read, len(text))
			}
			last = e.Line
			var fields map[string]json.RawMessage
			if e.Problem == "" && (json.Unmarshal(e.json, &fields) != nil || isAbsent(fields["id"])) {
				t.Fatalf("%q is no event with an id", e.json)
			}
		}
	})
}
