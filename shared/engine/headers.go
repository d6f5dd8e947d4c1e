package engine

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Headers are the names, in canonical form, of those of a request's headers that targets see.
type Headers []string

// DefaultHeaders are the reference's (actions-v2.md section 6.1).
func DefaultHeaders() Headers {
	return Headers{"Content-Type", "Host", "Origin", "X-Forwarded-For", "X-Forwarded-Host"}
}

// UnmarshalText reads names with commas between them. What tells who somebody is must not be among them.
func (h *Headers) UnmarshalText(text []byte) error {
	*h = Headers{}
	for name := range strings.SplitSeq(string(text), ",") {
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		switch {
		case name == "":
			continue
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("%q is no name of a header", name)
		case secret(name):
			return fmt.Errorf("%s is never sent to targets", name)
		}
		*h = append(*h, name)
	}
	return nil
}

// pick takes those that targets may see; nil where there are none.
func (h Headers) pick(all map[string][]string) map[string][]string {
	var seen map[string][]string
	for name, values := range all {
		name = http.CanonicalHeaderKey(name)
		if len(values) == 0 || !slices.Contains(h, name) || secret(name) {
			continue
		}
		if seen == nil {
			seen = map[string][]string{}
		}
		seen[name] = append(seen[name], values...)
	}
	return seen
}

// secret says whether a header, by its canonical name, is nobody else's business, whatever the configuration says.
func secret(name string) bool {
	switch name {
	case "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie":
		return true
	}
	return false
}
