package documents

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"
)

// command is one of a block: its words as they stand there, without the variables before it.
type command struct {
	line  int
	words []string
}

// script is a block of commands.
type script struct {
	commands []command
	// server is the last command, if that is one that goes on until it is stopped: what it says when it is ready.
	server string
}

// parse finds the commands of a block, wherever they stand in it. Each must be one that somebody runs or looks at.
func parse(text string) (script, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return script{}, err
	}
	var s script
	functions := []string{}
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.FuncDecl:
			functions = append(functions, n.Name.Value)
		case *syntax.CallExpr:
			if len(n.Args) > 0 {
				s.commands = append(s.commands, command{int(n.Pos().Line()), words(n.Args)})
			}
		}
		return true
	})
	for _, c := range s.commands {
		name := c.words[0]
		if !slices.Contains(shellWords, name) && !slices.Contains(asTheyAre, name) && standIns[name].why == "" && !slices.Contains(functions, name) {
			return s, fmt.Errorf("line %d: nobody knows the command %q: add it to those that are run as they are, or to the stand-ins", c.line, name)
		}
	}
	if len(file.Stmts) > 0 {
		var last []string
		syntax.Walk(file.Stmts[len(file.Stmts)-1], func(n syntax.Node) bool { // the first of a pipe
			if call, ok := n.(*syntax.CallExpr); ok && last == nil {
				last = words(call.Args)
			}
			return last == nil
		})
		s.server = servers.ready(last)
	}
	return s, nil
}

func words(args []*syntax.Word) (all []string) {
	for _, arg := range args {
		var text strings.Builder
		_ = syntax.NewPrinter().Print(&text, arg) // a strings.Builder takes everything
		all = append(all, text.String())
	}
	return all
}

// program is one that goes on until it is stopped.
type program struct {
	words []string
	ready string
}

type runners []program

// servers say these words when they are ready. A block that ends with one of them is left running.
var servers = runners{
	{[]string{"go", "run", "./emulator"}, "Callout is ready."},
	{[]string{"go", "run", "./functions"}, "serving"},
	{[]string{"go", "run", "./scripts/callout", "listen"}, "listening"},
	{[]string{"callout", "listen"}, "listening"},
	{[]string{"go", "run", "./scripts/examples/receiver"}, "listening"},
	{[]string{"go", "run", "./scripts/examples/ip-allow-list"}, "listens at"},
	{[]string{"go", "run", "./scripts/examples/custom-claims"}, "listens at"},
	{[]string{"go", "run", "./scripts/examples/audit-log"}, "listens at"},
	{[]string{"go", "run", "./scripts/examples/user-provisioning"}, "listens at"},
	{[]string{"node", "scripts/examples/receiver/receiver.mjs"}, "listening"},
	{[]string{"python3", "scripts/examples/receiver/receiver.py"}, "listening"},
}

func (all runners) ready(words []string) string {
	for _, p := range all {
		if len(words) >= len(p.words) && slices.Equal(words[:len(p.words)], p.words) && !slices.Contains(words, "--help") && !slices.Contains(words, "-help") {
			return p.ready
		}
	}
	return ""
}

// What the shell has itself, and what is run as it is where it is installed.
var (
	shellWords = []string{"cd", "echo", "export", "eval", "printf", "read", "set", "test", "[", ".", "trap", "unset", "wait", "exit", "true"}
	asTheyAre  = []string{"awk", "cat", "cp", "curl", "cut", "date", "grep", "head", "mkdir", "node", "openssl", "python3", "rm", "sed", "sh", "sort", "tee", "tr",
		"scripts/deploy"} // which finds stand-ins for what it calls
)

func TestParse(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
		server     string
		err        string
	}{
		{"words, variables and comments", "A=1 go test ./x  # why\n", []string{"go"}, "", ""},
		{"within others", "T=$(callout token)\ncurl -d \"$(cat x | tr a b)\" y && echo z", []string{"callout", "curl", "cat", "tr", "echo"}, "", ""},
		{"here documents", "cat > x <<'EOF'\nrm -rf /\nEOF\n", []string{"cat"}, "", ""},
		{"functions", "f() { curl x; }\nf", []string{"curl", "f"}, "", ""},
		{"a server", "go run ./emulator -data=x", []string{"go"}, "Callout is ready.", ""},
		{"a server in a pipe", "go run ./emulator | tee x", []string{"go", "tee"}, "Callout is ready.", ""},
		{"unknown", "frobnicate", nil, "", `"frobnicate"`},
		{"unknown within", "echo $(sudo frobnicate)", nil, "", `"sudo"`},
		{"hidden", "$X", nil, "", `"$X"`},
		{"not a script", "if", nil, "", "if"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parse(tt.text)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want an error with %s", err, tt.err)
				}
				return
			}
			var names []string
			for _, c := range s.commands {
				names = append(names, c.words[0])
			}
			if err != nil || !slices.Equal(names, tt.want) || s.server != tt.server {
				t.Errorf("got %q, %q, %v", names, s.server, err)
			}
		})
	}
}
