package terminal_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/scripts/callout/terminal"
)

func TestEscaping(t *testing.T) {
	tests := map[string]struct{ text, line, lines string }{
		"plain text":           {"héllo, 世界 🙂", "héllo, 世界 🙂", "héllo, 世界 🙂"},
		"line breaks and tabs": {"a\n\tb\r", `a\u000a\u0009b\u000d`, "a\n\tb\\u000d"},
		"terminal sequences":   {"\x1b[2J\u009b31m\x07", `\u001b[2J\u009b31m\u0007`, `\u001b[2J\u009b31m\u0007`},
		"reversed order":       {"a\u202eb\u2066c", `a\u202eb\u2066c`, `a\u202eb\u2066c`},
		"beyond the BMP":       {"\U000E0041", `\udb40\udc41`, `\udb40\udc41`},
		"not UTF-8":            {"a\xffb", "a\uFFFDb", "a\uFFFDb"},
		"not UTF-8, hostile":   {"a\xff\x1b", "a\uFFFD\\u001b", "a\uFFFD\\u001b"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := struct{ line, lines string }{terminal.Line(test.text), terminal.Text(test.text)}
			want := struct{ line, lines string }{test.line, test.lines}
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func FuzzJSONStaysTheSame(f *testing.F) {
	f.Add(`{"a":"\u001b\u202e` + "\u0085\U000E0041" + `"}`)
	f.Add("[1,\n\t\"\u2028\"]")
	f.Add("[\"\x80\xa8\"]")
	f.Fuzz(func(t *testing.T, text string) {
		var before, after any
		if json.Unmarshal([]byte(text), &before) != nil || strings.Contains(text, "\r") {
			t.Skip("not JSON, or with the one white space that is escaped")
		}
		shown := terminal.Text(text)
		if err := json.Unmarshal([]byte(shown), &after); err != nil {
			t.Fatalf("%q is shown as %q, which is not JSON: %v", text, shown, err)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%q is shown as %q (-want +got):\n%s", text, shown, diff)
		}
	})
}
