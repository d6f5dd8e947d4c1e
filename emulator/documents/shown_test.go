package documents

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"go.yaml.in/yaml/v3"
)

// TestBlocks: each block is of a language that somebody looks at, and says what can be read.
func TestBlocks(t *testing.T) {
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			if err := d.check(b); err != nil {
				t.Errorf("%s:%d: %v", d.path, b.at.line, err)
			}
		}
	}
}

func (d document) check(b block) error {
	switch b.language {
	case "":
		return errors.New("nothing says what this block is: sh, text, text output, json, yaml, hcl, or a language and a file")
	case "sh":
		if b.more != "" {
			return inFile(b)
		}
		_, err := parse(b.at.text)
		return err
	case "text":
		if b.more != "" && b.more != "output" && !strings.HasPrefix(b.more, "output of ") {
			return errors.New("text is nothing more, output, or output of a server")
		}
		return nil // it is compared where the commands are run
	case "json":
		_, err := values(b.at.text)
		return err
	case "yaml":
		return yaml.Unmarshal([]byte(b.at.text), new(any))
	case "hcl":
		if _, problems := hclsyntax.ParseConfig([]byte(b.at.text), d.path, hcl.InitialPos); problems.HasErrors() {
			return problems
		}
		return nil
	}
	return inFile(b)
}

// inFile wants the block, a program or a part of one, to be in the file that it names. Go's are compiled there.
func inFile(b block) error {
	if b.more == "" {
		return errors.New("nothing says which file this is, or is a part of")
	}
	text, err := os.ReadFile(filepath.Join(root, b.more))
	if err != nil {
		return err
	}
	flat := func(s string) string { // blocks begin at the margin
		return regexp.MustCompile(`(?m)^[\t ]+`).ReplaceAllString(s, "")
	}
	if !strings.Contains(flat(string(text)), flat(b.at.text)) {
		return errors.New("it is not what is in " + b.more)
	}
	return nil
}

// values are those of a block, one after the other.
func values(text string) (all []json.RawMessage, err error) {
	for decoder := json.NewDecoder(strings.NewReader(text)); ; {
		var value json.RawMessage
		if err := decoder.Decode(&value); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, value)
	}
}

// sources are all files that may name a variable or have a test.
var sources = sync.OnceValues(func() (map[string][]byte, error) {
	all := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != root && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"testdata", "node_modules", "gen", "_artifacts"}, entry.Name())) {
			return fs.SkipDir
		}
		if name := filepath.ToSlash(path); !entry.IsDir() && (filepath.Ext(name) == ".go" || strings.HasPrefix(name, root+"/scripts/")) && filepath.Ext(name) != ".md" {
			all[strings.TrimPrefix(name, root+"/")], err = os.ReadFile(path)
		}
		return err
	})
	return all, err
})

var (
	variable = regexp.MustCompile(`\bCALLOUT_[A-Z0-9_]*[A-Z0-9]\b`)
	testName = regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w+$`)
)

// TestNames: variables and tests that documents name are in the code.
func TestNames(t *testing.T) {
	files, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	all := bytes.Join(slices.Collect(func(yield func([]byte) bool) {
		for name, text := range files {
			if !strings.HasPrefix(name, "emulator/documents/") && !yield(text) {
				return
			}
		}
	}), nil)
	known := map[string]bool{}
	for _, name := range variable.FindAll(all, -1) {
		known[string(name)] = true
	}
	for _, d := range documents(t) {
		for _, code := range d.code {
			for _, name := range variable.FindAllString(code.text, -1) {
				if !known[name] && !strings.HasPrefix(name, "CALLOUT_EMULATOR_") {
					t.Errorf("%s:%d: no program knows %s", d.path, code.line, name)
				}
			}
			if testName.MatchString(code.text) && !bytes.Contains(all, []byte("func "+code.text+"(")) {
				t.Errorf("%s:%d: there is no %s", d.path, code.line, code.text)
			}
		}
		for _, l := range d.links {
			to := path.Join(path.Dir(d.path), l.to)
			if testName.MatchString(l.text) && !bytes.Contains(files[to], []byte("func "+l.text+"(")) {
				t.Errorf("%s:%d: %s is not in %s", d.path, l.line, l.text, to)
			}
		}
	}
}

// TestVariables: what the functions read from the environment is in the table of functions/README.md.
func TestVariables(t *testing.T) {
	files, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(root, "functions/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	tags := regexp.MustCompile("env:\"([A-Z_]+)[,\"]").FindAllSubmatch(files["shared/env/config.go"], -1)
	if len(tags) < 20 {
		t.Fatalf("only %d variables: are they no longer told by tags?", len(tags))
	}
	for _, tag := range tags {
		name := string(tag[1])
		if !bytes.Contains(table, []byte("`"+name+"`")) {
			t.Errorf("functions/README.md says nothing of %s", name)
		}
	}
}

// TestPackages: each package has a comment that says what it is.
func TestPackages(t *testing.T) {
	files, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	comment := regexp.MustCompile(`(?m)^// (Package|Command) \w[\w-]* [^\n]{20,}(\n//[^\n]*)*\npackage \w+$`)
	told := map[string]bool{}
	for path, text := range files {
		if dir := filepath.Dir(path); filepath.Ext(path) == ".go" {
			told[dir] = told[dir] || comment.Match(text)
		}
	}
	for dir, ok := range told {
		if !ok {
			t.Errorf("no comment says what package %s is", dir)
		}
	}
}
