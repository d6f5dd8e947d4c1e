package documents

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// TestLinks: links within the repository lead to files, folders and headings that there are.
func TestLinks(t *testing.T) {
	all := documents(t)
	anchors := map[string]map[string]bool{}
	for _, d := range all {
		anchors[d.path] = d.anchors
	}
	for _, d := range all {
		for _, l := range d.links {
			if strings.Contains(l.to, "://") {
				continue
			}
			file, heading, _ := strings.Cut(l.to, "#")
			to := d.path
			if file != "" {
				to = path.Join(path.Dir(d.path), file)
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s:%d: %s leads nowhere", d.path, l.line, l.to)
				continue
			}
			if heading != "" && !anchors[to][heading] {
				t.Errorf("%s:%d: %s has no heading #%s", d.path, l.line, to, heading)
			}
		}
	}
}

// TestEveryDocumentIsFound: from README.md, by links.
func TestEveryDocumentIsFound(t *testing.T) {
	links := map[string][]string{}
	for _, d := range documents(t) {
		for _, l := range d.links {
			file, _, _ := strings.Cut(l.to, "#")
			links[d.path] = append(links[d.path], path.Join(path.Dir(d.path), file))
		}
	}
	found := map[string]bool{}
	for next := []string{"README.md"}; len(next) > 0; next = next[1:] {
		if !found[next[0]] {
			found[next[0]] = true
			next = append(next, links[next[0]]...)
		}
	}
	for _, d := range documents(t) {
		if !found[d.path] {
			t.Errorf("no way leads from README.md to %s", d.path)
		}
	}
}

func TestAnchors(t *testing.T) {
	d := read("a.md", []byte("# What `it` costs\n\n## \"A\", and b: [c](d)\n"))
	for _, want := range []string{"what-it-costs", "a-and-b-c"} {
		if !d.anchors[want] {
			t.Errorf("no %s in %v", want, d.anchors)
		}
	}
}
