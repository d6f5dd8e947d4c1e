package documents

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

const root = "../.."

// document is a Markdown file.
type document struct {
	path    string // from the root
	blocks  []block
	links   []link
	anchors map[string]bool
	// code is what stands between backquotes, in the text and in the blocks of commands.
	code []span
}

// block is a fenced block.
type block struct {
	at span
	// language and more are what stands behind the fence.
	language, more string
}

// span is a text and the line where it begins.
type span struct {
	line int
	text string
}

type link struct {
	line     int
	to, text string
}

// documents reads all of them.
func documents(t *testing.T) (all []document) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "_artifacts") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		all = append(all, read(filepath.ToSlash(name), source))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 5 {
		t.Fatalf("only %d documents", len(all))
	}
	return all
}

func read(path string, source []byte) document {
	d := document{path: path, anchors: map[string]bool{}}
	tree := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	lineAt := func(offset int) int { return 1 + strings.Count(string(source[:offset]), "\n") }
	line := 1 // of the last block: inline nodes do not know theirs
	_ = ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		if n.Type() == ast.TypeBlock && n.Lines().Len() > 0 {
			line = lineAt(n.Lines().At(0).Start)
		}
		switch n := n.(type) {
		case *ast.FencedCodeBlock:
			b := block{at: span{line, string(n.Lines().Value(source))}}
			if n.Info != nil {
				info := string(n.Info.Value(source))
				b.language, b.more, _ = strings.Cut(info, " ")
			}
			d.blocks = append(d.blocks, b)
			if b.language == "sh" {
				d.code = append(d.code, b.at)
			}
		case *ast.CodeBlock: // by indentation
			d.blocks = append(d.blocks, block{at: span{line, string(n.Lines().Value(source))}})
		case *ast.CodeSpan:
			d.code = append(d.code, span{line, plain(n, source)})
		case *ast.Link:
			d.links = append(d.links, link{line, string(n.Destination), plain(n, source)})
		case *ast.Image:
			d.links = append(d.links, link{line, string(n.Destination), plain(n, source)})
		case *ast.Heading:
			d.anchors[anchor(plain(n, source))] = true
		}
		return ast.WalkContinue, nil
	})
	return d
}

// plain is the text of a node and of all within it.
func plain(n ast.Node, source []byte) string {
	var all strings.Builder
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		if leaf, ok := child.(*ast.Text); ok {
			all.Write(leaf.Value(source))
			if leaf.SoftLineBreak() {
				all.WriteByte(' ')
			}
			continue
		}
		all.WriteString(plain(child, source))
	}
	return all.String()
}

// anchor is what a heading is called in links.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}
