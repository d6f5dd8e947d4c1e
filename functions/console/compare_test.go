package console

import (
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	for _, tt := range []struct{ before, after, left, right string }{
		{"a\nb\nc", "a\nb\nc", "a b c", "a b c"},
		{"a\nb\nc", "a\nx\nc", "a -b c", "a -x c"},
		{"a\nc", "a\nb\nc\nd", "a c", "a -b c -d"},
		{"a\nb\na", "a", "a -b -a", "a"},
		{"a", "b", "-a", "-b"},
		{"", "", "", ""},
	} {
		left, right := compare(tt.before, tt.after)
		if l, r := marked(left), marked(right); l != tt.left || r != tt.right {
			t.Errorf("%q beside %q: %q and %q, want %q and %q", tt.before, tt.after, l, r, tt.left, tt.right)
		}
	}
	if left, right := compare(strings.Repeat("a\n", mostCompared), "b"); len(left) != mostCompared+1 || left[0].Other || right[0].Other {
		t.Error("long texts are compared")
	}
}

func marked(lines []compared) string {
	var all []string
	for _, l := range lines {
		if l.Other {
			l.Text = "-" + l.Text
		}
		all = append(all, l.Text)
	}
	return strings.Join(all, " ")
}
