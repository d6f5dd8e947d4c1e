package command

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// tree is the whole command tree, fresh: flags keep what they were given.
func tree() *cobra.Command {
	a := &app{Process: Process{Getenv: func(string) string { return "" }, Out: io.Discard, Err: io.Discard}, network: &http.Transport{},
		output: choice{value: "table", allowed: []string{"table", "json", "yaml"}}}
	return a.root()
}

func eachLeaf(cmd *cobra.Command, do func(*cobra.Command)) {
	for _, child := range cmd.Commands() {
		eachLeaf(child, do)
	}
	if !cmd.HasSubCommands() {
		do(cmd)
	}
}

func TestEveryCommandHasExamplesThatItTakes(t *testing.T) {
	t.Parallel()
	leaves := 0
	eachLeaf(tree(), func(leaf *cobra.Command) {
		leaves++
		calls := 0
		for line := range strings.SplitSeq(leaf.Example, "\n") {
			found, err := callsIn(line)
			if err != nil {
				t.Errorf("%s: %s: %v", leaf.CommandPath(), line, err)
			}
			for _, args := range found {
				calls++
				if path, err := accept(tree(), args); err != nil || path != leaf.CommandPath() {
					t.Errorf("%s: %s: it is %q, %v", leaf.CommandPath(), line, path, err)
				}
			}
		}
		if calls == 0 || leaf.Short == "" {
			t.Errorf("%s says in its help %q, with %d examples", leaf.CommandPath(), leaf.Short, calls)
		}
	})
	if leaves < 35 {
		t.Errorf("only %d commands were seen", leaves)
	}
	found, err := callsIn(strings.ReplaceAll(tree().Example, "\n", "|"))
	if err != nil || len(found) != 3 {
		t.Errorf("the root's examples: %q, %v", found, err)
	}
	for _, args := range found {
		if _, err := accept(tree(), args); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// TestExamplesAreHeld shows that the test before this one would notice.
func TestExamplesAreHeld(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"callout target list --nonsense":                   "unknown flag",
		"callout target get":                               "accepts 1 arg",
		"callout target create --name a":                   "required flag",
		"callout delivery list -o xml":                     "must be one of",
		"callout target gets a":                            "knows no",
		"callout target list --interval soon":              "invalid",
		"callout completion tcsh":                          "invalid argument",
		"callout event publish a --data '{\"id\":1}' more": "accepts 1 arg",
	} {
		found, err := callsIn(line)
		if err != nil || len(found) != 1 {
			t.Errorf("%s: %q, %v", line, found, err)
			continue
		}
		if _, err := accept(tree(), found[0]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	if _, err := callsIn("callout 'open"); err == nil {
		t.Error("an open quote passes")
	}
}

// accept does with a command line what Run does before anything happens, and says which command it is.
func accept(root *cobra.Command, args []string) (string, error) {
	cmd, rest, err := root.Traverse(args)
	if err != nil {
		return "", err
	}
	return cmd.CommandPath(), errors.Join(cmd.ParseFlags(rest), cmd.ValidateRequiredFlags(), cmd.ValidateArgs(cmd.Flags().Args()))
}

// callsIn finds the calls of callout in a line of a shell: their words without the program's name.
func callsIn(line string) (calls [][]string, err error) {
	words, err := shellWords(line)
	var call []string
	end := func() {
		if len(call) > 0 {
			calls = append(calls, call[1:])
		}
		call = nil
	}
	for i, w := range words {
		switch {
		case w == "|" || w == ")":
			end()
		case w == ">": // a file follows
			end()
		case len(call) > 0:
			call = append(call, w)
		case w == "callout" && (i == 0 || words[i-1] == "|" || words[i-1] == "("):
			call = []string{w}
		}
	}
	end()
	return calls, err
}

// shellWords splits a line as far as the examples go: quotes, pipes, redirections, and commands in brackets, whatever stands before them.
func shellWords(line string) (words []string, err error) {
	var word strings.Builder
	begun, quote := false, rune(0)
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for _, r := range line {
		switch {
		case quote == '\'' && r != quote, quote == '"' && r != quote && r != '(' && r != ')':
			word.WriteRune(r)
		case r == '\'' || r == '"':
			begun = true
			if quote == 0 {
				quote = r
			} else {
				quote = 0
			}
		case strings.ContainsRune("|()>", r):
			end()
			words = append(words, string(r))
		case r == ' ':
			end()
		default:
			begun = true
			word.WriteRune(r)
		}
	}
	if end(); quote != 0 {
		err = fmt.Errorf("the quote %c stays open", quote)
	}
	return words, err
}

// TestExitCodesAreWrittenDownOnce: in the help of the program itself, as they are.
func TestExitCodesAreWrittenDownOnce(t *testing.T) {
	t.Parallel()
	root := tree()
	for code, what := range map[int]string{ExitFine: "fine", ExitFailed: "it failed", ExitUsage: "the command was not understood"} {
		if want := fmt.Sprintf("\n  %d  %s", code, what); !strings.Contains(root.Long, want) {
			t.Errorf("the help does not say %q", want)
		}
	}
	eachLeaf(root, func(leaf *cobra.Command) {
		if strings.Contains(strings.ToLower(leaf.Long+leaf.Short), "exit code") {
			t.Errorf("%s says of exit codes what callout --help says", leaf.CommandPath())
		}
	})
}
