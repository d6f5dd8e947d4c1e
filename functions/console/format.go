package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/shared/action"
)

// words are the functions that templates have.
func words() template.FuncMap {
	return template.FuncMap{
		"asset":  func(name string) string { return root + "static/" + name + "?v=" + sum(name) },
		"when":   when,
		"exact":  exact,
		"ms":     milliseconds,
		"json":   pretty,
		"tone":   tone,
		"list":   func(all ...string) []string { return all },
		"query":  query,
		"plural": plural,
		"option": func(value, label, chosen string) option { return option{value, label, value == chosen} },
		"field":  func(name string, p problems) field { return field{name, p[name]} },
	}
}

// query is a parameter of a URL, encoded: html/template would encode its equals sign as well.
func query(name, value string) template.URL { return template.URL(url.Values{name: {value}}.Encode()) }

// option is one of a select.
type option struct {
	Value, Label string
	Chosen       bool
}

// field names a field of a form and what is wrong with it.
type field struct{ Name, Problem string }

// when is how far a moment is from now, in words that are short.
func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return "–"
	}
	d := time.Since(t.AsTime())
	text := span(d.Abs())
	switch {
	case d.Abs() < time.Second:
		return "now"
	case d < 0:
		return "in " + text
	default:
		return text + " ago"
	}
}

// span is a duration in its largest unit.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

// exact is a moment to the second, in UTC.
func exact(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format("2006-01-02 15:04:05") + " UTC"
}

// milliseconds writes a duration as people do.
func milliseconds(ms float64) string {
	switch {
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.1f s", ms/1000)
	}
}

// pretty indents JSON, and leaves what is none as it is. Every digit stays.
func pretty(text string) string {
	var out bytes.Buffer
	if json.Indent(&out, []byte(text), "", "  ") != nil {
		return text
	}
	return out.String()
}

// tone is how a state is coloured; its word is always beside it.
func tone(state string) string {
	switch state {
	case string(action.Delivered), string(action.Success), "active", "healthy":
		return "good"
	case string(action.Dead), string(action.Failed), string(action.Timeout), "rejected", "open", "removed":
		return "bad"
	case string(action.Retrying), "paused", "draining":
		return "warn"
	}
	return "calm"
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	if strings.HasSuffix(one, "y") {
		one = strings.TrimSuffix(one, "y") + "ie"
	}
	return fmt.Sprintf("%d %ss", n, one)
}
