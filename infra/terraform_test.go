package infra_test

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// terraform is a configuration, parsed: every *.tf of one folder.
type terraform struct {
	blocks    []*hclsyntax.Block
	resources map[string]*hclsyntax.Block     // "type.name", "data.type.name"
	locals    map[string]*hclsyntax.Attribute // by name
	variables map[string]*hclsyntax.Block     // by name
}

func readTerraform(folder fs.FS) (*terraform, error) {
	names, err := fs.Glob(folder, "*.tf")
	if err != nil {
		return nil, err
	}
	c := &terraform{
		resources: map[string]*hclsyntax.Block{}, locals: map[string]*hclsyntax.Attribute{}, variables: map[string]*hclsyntax.Block{},
	}
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		file, problems := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
		if problems.HasErrors() {
			return nil, problems
		}
		for _, b := range file.Body.(*hclsyntax.Body).Blocks {
			if err := c.add(b); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

func (c *terraform) add(b *hclsyntax.Block) error {
	c.blocks = append(c.blocks, b)
	taken := false
	switch b.Type {
	case "resource":
		_, taken = c.resources[strings.Join(b.Labels, ".")]
		c.resources[strings.Join(b.Labels, ".")] = b
	case "data":
		_, taken = c.resources["data."+strings.Join(b.Labels, ".")]
		c.resources["data."+strings.Join(b.Labels, ".")] = b
	case "variable":
		_, taken = c.variables[b.Labels[0]]
		c.variables[b.Labels[0]] = b
	case "locals":
		for name, a := range b.Body.Attributes {
			if c.locals[name] != nil {
				return fmt.Errorf("%s: local.%s is there twice", a.SrcRange, name)
			}
			c.locals[name] = a
		}
	case "output", "provider", "terraform":
	default:
		return fmt.Errorf("%s: a block of type %s", b.TypeRange, b.Type)
	}
	if taken {
		return fmt.Errorf("%s: %s is there twice", b.TypeRange, strings.Join(b.Labels, "."))
	}
	return nil
}

// functionsOfTerraform are those that the configuration may call.
var functionsOfTerraform = []string{"base64encode", "concat", "contains", "endswith", "file", "floor", "join", "jsondecode",
	"jsonencode", "keys",
	"merge", "sha256", "startswith", "substr", "toset", "trimprefix", "try"}

// scope is what a block may refer to besides what all may.
type scope struct {
	each, count bool
	iterators   []string // of dynamic blocks
}

// references checks what every expression refers to, and tells what is wrong. Reads is called with each path that is read.
func (c *terraform) references(reads func(path string) error) []string {
	w := &walk{terraform: c, reads: reads, used: map[string]bool{}}
	for _, b := range c.blocks {
		w.body(b.Body, scope{each: b.Body.Attributes["for_each"] != nil, count: b.Body.Attributes["count"] != nil}, b.Type == "variable")
	}
	for name, b := range c.variables {
		if !w.used["var."+name] {
			w.wrong(b.TypeRange, "var.%s is not used", name)
		}
	}
	for name, a := range c.locals {
		if !w.used["local."+name] {
			w.wrong(a.SrcRange, "local.%s is not used", name)
		}
	}
	for name, b := range c.resources {
		if strings.HasPrefix(name, "data.") && !w.used[name] {
			w.wrong(b.TypeRange, "%s is not used", name)
		}
	}
	slices.Sort(w.problems)
	return w.problems
}

type walk struct {
	*terraform
	reads    func(path string) error
	used     map[string]bool
	problems []string
}

func (w *walk) wrong(at hcl.Range, format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf("%s:%d: ", at.Filename, at.Start.Line)+fmt.Sprintf(format, args...))
}

func (w *walk) body(body *hclsyntax.Body, s scope, isVariable bool) {
	for name, a := range body.Attributes {
		if !isVariable || name != "type" { // types are words of their own
			w.expression(a.Expr, s)
		}
	}
	for _, b := range body.Blocks {
		if b.Type != "dynamic" {
			w.body(b.Body, s, false)
			continue
		}
		for _, a := range b.Body.Attributes {
			w.expression(a.Expr, s)
		}
		inner := s
		inner.iterators = append(slices.Clone(s.iterators), b.Labels[0])
		for _, content := range b.Body.Blocks {
			w.body(content.Body, inner, false)
		}
	}
}

func (w *walk) expression(e hclsyntax.Expression, s scope) {
	indexed := map[hcl.Range]bool{}
	_ = hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		switch n := n.(type) {
		case *hclsyntax.FunctionCallExpr:
			w.call(n)
		case *hclsyntax.IndexExpr:
			indexed[n.Collection.Range()] = true
		case *hclsyntax.SplatExpr:
			indexed[n.Source.Range()] = true
		}
		return nil
	})
	for _, t := range e.Variables() {
		w.reference(t, s, indexed[t.SourceRange()])
	}
}

func (w *walk) call(f *hclsyntax.FunctionCallExpr) {
	if !slices.Contains(functionsOfTerraform, f.Name) {
		w.wrong(f.NameRange, "there is no function %s in the list", f.Name)
	}
	if f.Name != "file" || len(f.Args) != 1 {
		return
	}
	path, problems := f.Args[0].Value(&hcl.EvalContext{Variables: moduleFolder})
	if problems.HasErrors() {
		w.wrong(f.NameRange, "file: %v", problems)
	} else if err := w.reads(path.AsString()); err != nil {
		w.wrong(f.NameRange, "file: %v", err)
	}
}

// reference checks one. Indexed says that a computed index or a splat follows.
func (w *walk) reference(t hcl.Traversal, s scope, indexed bool) {
	root, at := t.RootName(), t.SourceRange()
	step := func(n int) string {
		if n < len(t) {
			if a, ok := t[n].(hcl.TraverseAttr); ok {
				return a.Name
			}
		}
		return ""
	}
	switch {
	case slices.Contains(s.iterators, root):
		if step(1) != "key" && step(1) != "value" {
			w.wrong(at, "%s has key and value", root)
		}
	case root == "var" && w.variables[step(1)] != nil, root == "local" && w.locals[step(1)] != nil:
		w.used[root+"."+step(1)] = true
	case root == "path" && step(1) == "module":
	case root == "each" && s.each && (step(1) == "key" || step(1) == "value"):
	case root == "count" && s.count && step(1) == "index":
	default:
		name, rest := root+"."+step(1), 2
		if root == "data" {
			name, rest = name+"."+step(2), 3
		}
		b := w.resources[name]
		if b == nil {
			w.wrong(at, "%s: there is no such thing", strings.Trim(name, "."))
			return
		}
		w.used[name] = true
		many := b.Body.Attributes["for_each"] != nil || b.Body.Attributes["count"] != nil
		if rest < len(t) {
			_, indexed = t[rest].(hcl.TraverseIndex)
		} else if !indexed {
			return // all of it
		}
		if many != indexed {
			w.wrong(at, "%s: whether there is one or many does not fit", name)
		}
	}
}

func TestReferencesThatGoNowhere(t *testing.T) {
	const fine = `
variable "region" { type = map(string) }
data "google_project" "this" {}
locals {
  services = { for name, f in jsondecode(file("${path.module}/there.json")) : name => f }
}
resource "google_a" "many" {
  for_each = local.services
  name     = "${each.key}-${var.region}"
  dynamic "part" {
    for_each = each.value
    content { name = part.value }
  }
}
resource "google_b" "one" {
  of  = google_a.many["x"].name
  all = [google_a.many, data.google_project.this.number]
}
output "b" { value = google_b.one.id }
`
	tests := []struct{ name, old, new, want string }{
		{"all is well", "", "", ""},
		{"an unknown variable", "var.region", "var.regoin", "var.regoin: there is no such thing"},
		{"an unused variable", "-${var.region}", "", "var.region is not used"},
		{"an unknown local", "= local.services", "= local.service", "local.service: there is no such thing"},
		{"an unused local", "= local.services", "= {}", "local.services is not used"},
		{"an unknown resource", "google_b.one.id", "google_b.two.id", "google_b.two: there is no such thing"},
		{"an unknown kind of resource", "google_b.one.id", "google_c.one.id", "google_c.one: there is no such thing"},
		{"an unknown data source", "data.google_project.this", "data.google_project.that", "data.google_project.that: there is no such thing"},
		{"an unused data source", ", data.google_project.this.number", "", "data.google_project.this is not used"},
		{"each where there is none", "google_b.one.id", "each.key", "each.key: there is no such thing"},
		{"a field that each has not", "each.key", "each.name", "each.name: there is no such thing"},
		{"the iterator outside of its block", "google_b.one.id", "part.value", "part.value: there is no such thing"},
		{"a field that the iterator has not", "part.value", "part.name", "part has key and value"},
		{"a name of for outside of it", "google_b.one.id", "f.x", "f.x: there is no such thing"},
		{"one of many without a key", `google_a.many["x"].name`, "google_a.many.name", "one or many"},
		{"a key of what is one", "google_b.one.id", `google_b.one["x"].id`, "one or many"},
		{"a computed key of what is one", "google_b.one.id", `google_b.one[var.region].id`, "one or many"},
		{"a splat of what is one", "google_b.one.id", `google_b.one[*].id`, "one or many"},
		{"a file that is not there", "there.json", "gone.json", "gone.json is not there"},
		{"a function that is none", "jsondecode", "jsondecoed", "no function jsondecoed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(fine, tt.old) {
				t.Fatalf("%q is not there to be replaced", tt.old)
			}
			c, err := readTerraform(oneFile(strings.ReplaceAll(fine, tt.old, tt.new)))
			if tt.old == "" {
				c, err = readTerraform(oneFile(fine))
			}
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(c.references(func(path string) error {
				if path != gcp+"/there.json" {
					return fmt.Errorf("%s is not there", path)
				}
				return nil
			}), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
