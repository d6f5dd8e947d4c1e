package filter_test

import (
	"strings"
	"testing"

	"github.com/callout-dev/callout/emulator/pubsub/filter"
)

func TestMatch(t *testing.T) {
	com := map[string]string{"name": "com", "lang": "en"}
	tests := []struct {
		filter     string
		attributes map[string]string
		want       bool
	}{
		{``, nil, true},
		{`attributes:name`, com, true},
		{`attributes:name`, nil, false},
		{`attributes:"name"`, com, true},
		{`attributes.name = "com"`, com, true},
		{`attributes.name="com"`, com, true},
		{`attributes.name = "Com"`, com, false},
		{`attributes.Name = "com"`, com, false},
		{`attributes.name != "com"`, com, false},
		{`attributes.name != "org"`, com, true},
		{`attributes.missing != "org"`, com, true},
		{`attributes.missing = ""`, com, false},
		{`attributes.empty = ""`, map[string]string{"empty": ""}, true},
		{`hasPrefix(attributes.name, "co")`, com, true},
		{`hasPrefix(attributes.name, "")`, com, true},
		{`hasPrefix(attributes.missing, "")`, com, false},
		{`hasPrefix ( attributes . name , "om" )`, com, false},
		{`NOT attributes:name`, com, false},
		{`NOT NOT attributes:name`, com, true},
		{`-attributes:name`, com, false},
		{`attributes.name = "com" AND -attributes:"iana.org/language_tag"`, com, true},
		{`attributes:name AND attributes:lang AND attributes:x`, com, false},
		{`attributes:x OR attributes:y OR attributes:lang`, com, true},
		{`attributes:x OR (attributes:name AND NOT attributes:y)`, com, true},
		{`NOT (attributes:x OR attributes:name)`, com, false},
		{`NOT attributes:x AND attributes:name`, com, true},
		{`attributes:my-key`, map[string]string{"my-key": ""}, true},
		{`attributes:-x`, map[string]string{"-x": ""}, true},
		{`attributes:AND`, map[string]string{"AND": ""}, true},
		{`attributes.1 = "\"\\\n\u00e9\x41\101"`, map[string]string{"1": "\"\\\né" + "AA"}, true},
		{`attributes:"みんな"`, map[string]string{"みんな": "x"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.filter, func(t *testing.T) {
			f, err := filter.Parse(tt.filter)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Match(tt.attributes); got != tt.want {
				t.Errorf("matches %v: got %t, want %t", tt.attributes, got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, filter, says string }{
		{"a word", `name`, "byte 0"},
		{"no key", `attributes:`, "byte 11"},
		{"an empty key", `attributes:""`, "key"},
		{"an unquoted value", `attributes.a = b`, "double quotes"},
		{"an unknown operator", `attributes.a > "b"`, "'>'"},
		{"no operator", `attributes.a "b"`, "= or !="},
		{"a function that is none", `hasSuffix(attributes.a, "b")`, "hasSuffix"},
		{"AND and OR mixed", `attributes:a AND attributes:b OR attributes:c`, "parentheses"},
		{"an open parenthesis", `(attributes:a`, "ends at byte 13"},
		{"a closing one too many", `attributes:a)`, "the end"},
		{"an open string", `attributes.a = "b`, "does not end"},
		{"a string that ends in a backslash", `attributes.a = "b\"`, "does not end"},
		{"an escape that is none", `attributes.a = "\q"`, "escape"},
		{"an escape that is no character", `attributes.a = "\xff"`, "escape"},
		{"lower case", `attributes:a and attributes:b`, "and"},
		{"nothing after AND", `attributes:a AND`, "ends"},
		{"a key with a dot", `attributes:a.b`, `"."`},
		{"only space", `  `, "ends"},
		{"too long", `attributes:` + strings.Repeat("a", 256), "256"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := filter.Parse(tt.filter)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want an error that says %q", err, tt.says)
			}
		})
	}
}

// Whatever comes in, parsing ends, and what is accepted is the opposite of its negation.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`attributes:a`, `attributes.a = "b" AND (NOT hasPrefix(attributes."c d", "\u00e9") OR -attributes:e)`, `((((`, `NOT NOT`, `"\`, "attributes:\xff",
	} {
		f.Add(seed, "a", "b")
	}
	f.Fuzz(func(t *testing.T, s, key, value string) {
		parsed, err := filter.Parse(s)
		if err != nil || s == "" || len(s) > filter.MaxBytes-6 {
			return
		}
		negated, err := filter.Parse("NOT (" + s + ")")
		if err != nil {
			t.Fatalf("%q is accepted and its negation is not: %v", s, err)
		}
		attributes := map[string]string{key: value}
		if parsed.Match(attributes) == negated.Match(attributes) {
			t.Errorf("%q and its negation agree on %v", s, attributes)
		}
	})
}
