// Package filter is the language of subscription filters, as https://cloud.google.com/pubsub/docs/subscription-message-filter documents it:
//
//	attributes:KEY    attributes.KEY = "VALUE"    attributes.KEY != "VALUE"    hasPrefix(attributes.KEY, "PREFIX")
//
// joined by AND or OR (both only with parentheses), negated by NOT or -. A key of other characters than letters, digits, - and _ is a string.
package filter

import (
	"fmt"
	"strings"
)

// MaxBytes is how long a filter may be.
const MaxBytes = 256

// Filter is a filter that was understood. The zero value matches everything.
type Filter struct{ root node }

// Match says whether a message with these attributes passes.
func (f Filter) Match(attributes map[string]string) bool {
	return f.root == nil || f.root.match(attributes)
}

// Parse reads a filter; the empty one matches everything. The error says what was expected where.
func Parse(s string) (Filter, error) {
	if s == "" {
		return Filter{}, nil
	}
	if len(s) > MaxBytes {
		return Filter{}, fmt.Errorf("is %d bytes long; the most is %d", len(s), MaxBytes)
	}
	tokens, err := lex(s)
	if err != nil {
		return Filter{}, err
	}
	p := &parser{tokens: tokens}
	root, err := p.expression()
	if err != nil {
		return Filter{}, err
	}
	if t := p.peek(); t.kind != end {
		return Filter{}, t.unexpected("the end, AND or OR")
	}
	return Filter{root: root}, nil
}

type node interface {
	match(attributes map[string]string) bool
}

type (
	has    struct{ key string }
	equal  struct{ key, value string }
	prefix struct{ key, value string }
	not    struct{ of node }
	all    []node
	some   []node
)

func (n has) match(a map[string]string) bool   { _, ok := a[n.key]; return ok }
func (n equal) match(a map[string]string) bool { v, ok := a[n.key]; return ok && v == n.value }
func (n not) match(a map[string]string) bool   { return !n.of.match(a) }

func (n prefix) match(a map[string]string) bool {
	v, ok := a[n.key]
	return ok && strings.HasPrefix(v, n.value)
}

func (n all) match(a map[string]string) bool {
	for _, of := range n {
		if !of.match(a) {
			return false
		}
	}
	return true
}

func (n some) match(a map[string]string) bool {
	for _, of := range n {
		if of.match(a) {
			return true
		}
	}
	return false
}

type parser struct {
	tokens []token // the last is of kind end
	at     int
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != end {
		p.at++
	}
	return t
}

// take consumes the next token if it is the word or sign text.
func (p *parser) take(text string) bool {
	if t := p.peek(); t.kind == end || t.kind == literal || t.text != text {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(text string) error {
	if p.take(text) {
		return nil
	}
	return p.peek().unexpected(text)
}

// expression is terms joined by one kind of operator.
func (p *parser) expression() (node, error) {
	first, err := p.term()
	if err != nil {
		return nil, err
	}
	terms := []node{first}
	operator := ""
	for {
		switch t := p.peek(); {
		case t.kind != word || t.text != "AND" && t.text != "OR":
			switch operator {
			case "AND":
				return all(terms), nil
			case "OR":
				return some(terms), nil
			}
			return first, nil
		case operator != "" && t.text != operator:
			return nil, fmt.Errorf("at byte %d: AND and OR are combined without parentheses", t.at)
		default:
			operator = t.text
		}
		p.next()
		n, err := p.term()
		if err != nil {
			return nil, err
		}
		terms = append(terms, n)
	}
}

// term is a comparison, or an expression in parentheses, either of them perhaps negated.
func (p *parser) term() (node, error) {
	switch {
	case p.take("NOT"), p.take("-"):
		n, err := p.term()
		return not{n}, err
	case p.take("("):
		n, err := p.expression()
		if err != nil {
			return nil, err
		}
		return n, p.expect(")")
	case p.take("hasPrefix"):
		return p.hasPrefix()
	case p.take("attributes"):
		return p.comparison()
	}
	return nil, p.peek().unexpected("attributes, hasPrefix, NOT or (")
}

func (p *parser) comparison() (node, error) {
	if p.take(":") {
		key, err := p.key()
		return has{key}, err
	}
	if err := p.expect("."); err != nil {
		return nil, p.peek().unexpected(": or . after attributes")
	}
	key, err := p.key()
	if err != nil {
		return nil, err
	}
	operator := p.next()
	if operator.kind != sign || operator.text != "=" && operator.text != "!=" {
		return nil, operator.unexpected("= or !=")
	}
	value, err := p.value()
	if err != nil {
		return nil, err
	}
	if operator.text == "!=" {
		return not{equal{key, value}}, nil
	}
	return equal{key, value}, nil
}

func (p *parser) hasPrefix() (node, error) {
	for _, text := range []string{"(", "attributes", "."} {
		if err := p.expect(text); err != nil {
			return nil, err
		}
	}
	key, err := p.key()
	if err != nil {
		return nil, err
	}
	if err := p.expect(","); err != nil {
		return nil, err
	}
	value, err := p.value()
	if err != nil {
		return nil, err
	}
	return prefix{key, value}, p.expect(")")
}

// key is a name or a string.
func (p *parser) key() (string, error) {
	t := p.next()
	if t.kind != word && t.kind != literal || t.text == "" {
		return "", t.unexpected("the key of an attribute")
	}
	return t.text, nil
}

func (p *parser) value() (string, error) {
	t := p.next()
	if t.kind != literal {
		return "", t.unexpected("a string in double quotes")
	}
	return t.text, nil
}
