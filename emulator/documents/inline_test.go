package documents

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCommandsInTheText: commands between backquotes, and those that are only named, are ones that there are.
func TestCommandsInTheText(t *testing.T) {
	binary := filepath.Join(programs(t), "callout")
	tried := map[string]bool{}
	for _, d := range documents(t) {
		for _, code := range d.code {
			if strings.Contains(code.text, "\n") || tried[code.text] {
				continue // a block is run
			}
			tried[code.text] = true
			parsed, err := parse(code.text)
			if err != nil || len(parsed.commands) == 0 || standIns[parsed.commands[0].words[0]].why == "" {
				continue // no command, or another's
			}
			words := parsed.commands[0].words
			if words[0] == "go" && len(words) > 2 && words[1] == "run" && words[2] == "./scripts/callout" {
				words = append([]string{"callout"}, words[3:]...)
			}
			if words[0] != "callout" || len(words) == 1 {
				continue
			}
			if problem := lacks(binary, words[1:]); problem != "" {
				t.Errorf("%s:%d: %s: %s", d.path, code.line, code.text, problem)
			}
		}
	}
}

// lacks says what of a command the client does not know: its name, or a flag.
func lacks(binary string, words []string) string {
	out, err := exec.Command(binary, append(slices.Clone(words), "--help")...).CombinedOutput()
	if err != nil {
		return string(out)
	}
	usage := regexp.MustCompile(`(?m)^Usage:\n  callout ?(.*)`).FindStringSubmatch(string(out))
	if usage == nil {
		return "it has no usage"
	}
	names := regexp.MustCompile(`^[a-z][a-z-]*( [a-z][a-z-]*)*`)
	command, named := names.FindString(usage[1]), names.FindString(strings.Join(words, " "))
	if !strings.HasPrefix(named+" ", command+" ") || strings.Contains(string(out), "Available Commands:") && named != command && command != "" {
		return "there is no such command"
	}
	return ""
}

// TestEmulatorsFlags: emulator/README.md has all of them.
func TestEmulatorsFlags(t *testing.T) {
	out, err := exec.Command(filepath.Join(programs(t), "emulator"), "-help").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	table, err := os.ReadFile(filepath.Join(root, "emulator/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`(?m)^  (-[a-z-]+)`).FindAllSubmatch(out, -1)
	if len(flags) < 8 {
		t.Errorf("only %d flags", len(flags))
	}
	for _, flag := range flags {
		if !strings.Contains(string(table), "`"+string(flag[1])+"`") {
			t.Errorf("emulator/README.md says nothing of %s", flag[1])
		}
	}
}

var (
	pathOfTheAPI = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) (/v[12]\S*?)(\?.*)?$`)
	parameter    = regexp.MustCompile(`\{[^}]*\}`)
)

// TestPathsInTheText: methods and paths of the API are in its description.
func TestPathsInTheText(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "shared/gen/openapi/openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	var description struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(text, &description); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for path, methods := range description.Paths {
		for method := range methods {
			known[strings.ToUpper(method)+" "+parameter.ReplaceAllString(path, "{}")] = true
		}
	}
	named := 0
	for _, d := range documents(t) {
		for _, code := range d.code {
			parts := pathOfTheAPI.FindStringSubmatch(code.text)
			if parts == nil || strings.Contains(parts[2], "…") {
				continue
			}
			named++
			if !known[parts[1]+" "+parameter.ReplaceAllString(parts[2], "{}")] {
				t.Errorf("%s:%d: the API has no %s", d.path, code.line, code.text)
			}
		}
	}
	if named < 10 {
		t.Errorf("only %d paths", named)
	}
}
