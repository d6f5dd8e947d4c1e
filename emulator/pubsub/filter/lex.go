package filter

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

type kind int

const (
	end kind = iota
	word
	literal
	sign
)

type token struct {
	kind kind
	text string // of a string: its value
	at   int
}

func (t token) unexpected(want string) error {
	switch t.kind {
	case end:
		return fmt.Errorf("ends at byte %d where %s was expected", t.at, want)
	case literal:
		return fmt.Errorf("has at byte %d the string %q where %s was expected", t.at, t.text, want)
	}
	return fmt.Errorf("has at byte %d %q where %s was expected", t.at, t.text, want)
}

// lex cuts a filter into tokens; the last is of kind end.
func lex(s string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '"':
			text, n, err := unquote(s[i:])
			if err != nil {
				return nil, fmt.Errorf("has at byte %d %w", i, err)
			}
			tokens = append(tokens, token{literal, text, i})
			i += n
		case strings.HasPrefix(s[i:], "!="):
			tokens = append(tokens, token{sign, "!=", i})
			i += 2
		case strings.IndexByte("():.,=", c) >= 0:
			tokens = append(tokens, token{sign, s[i : i+1], i})
			i++
		case c == '-' && !follows(tokens):
			tokens = append(tokens, token{sign, "-", i})
			i++
		case isName(c):
			j := i
			for j < len(s) && isName(s[j]) {
				j++
			}
			tokens = append(tokens, token{word, s[i:j], i})
			i = j
		default:
			r, _ := utf8.DecodeRuneInString(s[i:])
			return nil, fmt.Errorf("has at byte %d the character %q, which is allowed in strings only", i, r)
		}
	}
	return append(tokens, token{end, "", len(s)}), nil
}

// follows says whether a name may follow what was read, so that a hyphen begins one and is no negation.
func follows(tokens []token) bool {
	if len(tokens) == 0 {
		return false
	}
	last := tokens[len(tokens)-1]
	return last.kind == sign && (last.text == "." || last.text == ":")
}

func isName(c byte) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// unquote reads the string that s begins with, and says how long it is there. Its escapes are those of Go's strings: quotes, backslashes,
// non-printing characters, Unicode, hexadecimal and octal.
func unquote(s string) (text string, n int, err error) {
	for n = 1; n < len(s) && s[n] != '"'; n++ {
		if s[n] == '\\' {
			n++
		}
	}
	if n >= len(s) {
		return "", 0, fmt.Errorf("a string that does not end")
	}
	n++
	text, err = strconv.Unquote(s[:n])
	if err != nil || !utf8.ValidString(text) {
		return "", 0, fmt.Errorf("the string %s, which has an escape that is none", s[:n])
	}
	return text, n, nil
}
