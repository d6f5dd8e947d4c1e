package resource_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
)

const db = "projects/p/databases/(default)"

func TestParseDocument(t *testing.T) {
	tests := []struct {
		name string
		path resource.Path // nil: refused
	}{
		{db + "/documents/c/d", resource.Path{"c", "d"}},
		{db + "/documents/c/d/e/ф ✓", resource.Path{"c", "d", "e", "ф ✓"}},
		{db + "/documents/c/__id-7__", resource.Path{"c", "__id-7__"}},
		{db + "/documents/c/" + strings.Repeat("x", 1500), resource.Path{"c", strings.Repeat("x", 1500)}},
		{db + "/documents/c", nil},
		{db + "/documents", nil},
		{db, nil},
		{db + "/c/d", nil},
		{db + "/documents/c/", nil},
		{db + "/documents//d", nil},
		{db + "/documents/c/.", nil},
		{db + "/documents/c/..", nil},
		{db + "/documents/c/__x__", nil},
		{db + "/documents/c/__id07__", nil},
		{db + "/documents/c/\xff", nil},
		{db + "/documents/c/" + strings.Repeat("x", 1501), nil},
		{db + "/documents" + strings.Repeat("/x", 202), nil},
		{"projects//databases/d/documents/c/d", nil},
		{"projects/p/database/d/documents/c/d", nil},
		{"", nil},
	}
	for _, tt := range tests {
		got, path, err := resource.ParseDocument(tt.name)
		if (err == nil) != (tt.path != nil) || err == nil && (got != db || cmp.Diff(tt.path, path) != "") {
			t.Errorf("%.60q: got %q, %v, %v", tt.name, got, path, err)
		}
		if err == nil && got.Name(path) != tt.name {
			t.Errorf("%.60q: written back as %q", tt.name, got.Name(path))
		}
	}
}

func TestParseDatabaseAndParent(t *testing.T) {
	for name, ok := range map[string]bool{db: true, db + "/documents": false, "projects/p": false, db + "/": false} {
		if _, err := resource.ParseDatabase(name); (err == nil) != ok {
			t.Errorf("database %q: %v", name, err)
		}
	}
	for name, ok := range map[string]bool{db + "/documents": true, db + "/documents/c/d": true, db + "/documents/c": false, db: false} {
		if _, _, err := resource.ParseParent(name); (err == nil) != ok {
			t.Errorf("parent %q: %v", name, err)
		}
	}
}

func TestParseFieldPath(t *testing.T) {
	tests := []struct {
		text string
		want resource.FieldPath // nil: refused
	}{
		{"a", resource.FieldPath{"a"}},
		{"a.b_1.C", resource.FieldPath{"a", "b_1", "C"}},
		{"`a.b`.`c``d`", nil},
		{"`a.b`.`c\\`\\\\d`", resource.FieldPath{"a.b", "c`\\d"}},
		{"`1`", resource.FieldPath{"1"}},
		{"__name__", resource.FieldPath{"__name__"}},
		{"a.__x__", resource.FieldPath{"a", "__x__"}},
		{"__x__", nil},
		{"1", nil}, {"", nil}, {"a.", nil}, {".a", nil}, {"a..b", nil}, {"a b", nil}, {"`a", nil}, {"``", nil}, {"`a`b", nil}, {"`a\\b`", nil}, {"a-b", nil},
		{"é", nil}, {"`é`", resource.FieldPath{"é"}}, {"`\xff`", nil}, {strings.Repeat("x", 1501), nil},
	}
	for _, tt := range tests {
		got, err := resource.ParseFieldPath(tt.text)
		if (err == nil) != (tt.want != nil) || cmp.Diff(tt.want, got) != "" {
			t.Errorf("%.60q: got %q, %v", tt.text, got, err)
		}
	}
}

func TestOrderOfNames(t *testing.T) {
	ordered := []resource.Path{
		{"c", "__id-5__"}, {"c", "__id2__"}, {"c", "__id10__"}, {"c", "\x00"}, {"c", "1"}, {"c", "a"}, {"c", "a", "d", "x"}, {"c", "a\x00"}, {"c", "a!"}, {"c", "b"}, {"ca", "a"},
	}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := resource.ComparePaths(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%q and %q: %d", a, b, got)
			}
			if got := bytes.Compare(resource.AppendPath(nil, a), resource.AppendPath(nil, b)); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("encoded %q and %q: %d", a, b, got)
			}
		}
	}
}

func FuzzDocumentName(f *testing.F) {
	for _, s := range []string{db + "/documents/c/d", db + "/documents/c/d/e/__id7__", "projects/p/databases/d/documents/a/\x00", "x"} {
		f.Add(s, db+"/documents/c/e")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		da, pa, err := resource.ParseDocument(a)
		if err != nil {
			return
		}
		if da.Name(pa) != a {
			t.Errorf("%q is written back as %q", a, da.Name(pa))
		}
		k := resource.AppendPath(nil, pa)
		back, err := resource.CutPath(k)
		if err != nil || !slices.Equal(back, pa) {
			t.Errorf("%q is decoded as %q, %v", pa, back, err)
		}
		_, pb, err := resource.ParseDocument(b)
		if err != nil {
			return
		}
		if x, y := resource.ComparePaths(pa, pb), bytes.Compare(k, resource.AppendPath(nil, pb)); (x < 0) != (y < 0) || (x > 0) != (y > 0) {
			t.Errorf("%q and %q: order %d, encoded %d", pa, pb, x, y)
		}
	})
}

func FuzzFieldPath(f *testing.F) {
	for _, s := range []string{"a.b", "`a.b`.c", "`\\``", "``", "a.", "__name__"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := resource.ParseFieldPath(text)
		if err != nil {
			return
		}
		back, err := resource.ParseFieldPath(p.String())
		if err != nil || !back.Equal(p) {
			t.Errorf("%q is %q, written as %q, read as %q, %v", text, p, p.String(), back, err)
		}
	})
}

func FuzzCut(f *testing.F) {
	f.Add([]byte("\x02ab\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := resource.CutPath(b)
		if err == nil && !bytes.Equal(resource.AppendPath(nil, p), b) {
			t.Errorf("%x is %q, encoded as %x", b, p, resource.AppendPath(nil, p))
		}
	})
}
