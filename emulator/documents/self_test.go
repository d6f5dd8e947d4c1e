package documents

import (
	"os/exec"
	"strings"
	"testing"
)

// TestSession: what goes wrong in a shell is seen, and what does not is told.
func TestSession(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	tests := []struct {
		name, before, text, server string
		want, err                  string
	}{
		{name: "what a block prints", text: "echo a; echo b >&2", want: "a\nb\n"},
		{name: "variables and functions stay", before: "A=1; f() { echo \"$A\"; }", text: "f", want: "1\n"},
		{name: "a folder does not", before: "cd /", text: "[ -d scripts ] && echo here", want: "here\n"},
		{name: "a command that fails", text: "echo a\ntest 1 = 2\necho b", want: "a\n", err: "failed"},
		{name: "one within another", text: "A=$(test 1 = 2)\necho b", err: "failed"},
		{name: "a stand-in that refuses", text: "go build ./...", want: "stand-in for go build ./...: not looked at\n", err: "failed"},
		{name: "the shell ends", text: "exit 0", err: "failed"},
		{name: "a server", text: "echo ready; cat", server: "ready", want: "ready\n"},
		{name: "a server that ends", text: "echo not yet", server: "ready", want: "not yet\n", err: `did not say "ready"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSession(t, "")
			if tt.before != "" {
				if out, err := s.run(tt.before, ""); err != nil {
					t.Fatal(err, out)
				}
			}
			got, err := s.run(tt.text, tt.server)
			if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	s := &session{t: t, ports: map[string]string{"8080": "12345"}}
	tests := []struct {
		shown, printed string
		same           bool
	}{
		{"a\nb\n", "a\nb", true},
		{"a  \nb\n", "a\r\nb\n\n", true},
		{"id …\nb", "id 7f2\nb", true},
		{"id …\nb", "id 7f2\nand more\nb", false},
		{"a", "a\nb", false},
		{"b", "a\nb", false},
		{"a.c", "abc", false},
		{`{"a":1,"b":2}`, `{"a": 1, "b":2}`, true},
		{"at http://127.0.0.1:8080/", "at http://127.0.0.1:12345/", true},
	}
	for _, tt := range tests {
		if err := compare(tt.shown, tt.printed, s); (err == nil) != tt.same {
			t.Errorf("%q and %q: %v", tt.shown, tt.printed, err)
		}
	}
}
