package action

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/callout-dev/callout/shared/errs"
)

//go:embed catalogue.json
var builtinNames []byte

// Names are the services, methods, events and functions that a host exposes.
type Names struct {
	Services  []string `json:"services"`
	Methods   []string `json:"methods"`
	Events    []string `json:"events"`
	Functions []string `json:"functions"`
}

// ownNames are those of Callout's own API.
var ownNames = Names{
	Services: []string{"callout.v1.EventService"},
	Methods:  []string{"/callout.v1.EventService/Publish"},
}

// CatalogueMode says how much a name must be known to be a condition (callout.md section 10).
type CatalogueMode string

// The modes: Strict takes known names only, Namespaces also those in a namespace that is not known yet.
const (
	Strict     CatalogueMode = "strict"
	Namespaces CatalogueMode = "namespaces"
)

// Catalogue knows which names may be conditions.
type Catalogue struct {
	mode   CatalogueMode
	names  Names
	known  map[string]bool // "method /a.B/C", "service a.B", "event a.b", "group a", "function f"
	opened map[string]bool // first segments: "rpc zitadel", "event user"
}

// BuiltinCatalogue holds the names every installation starts with, the reference system's and Callout's own, and those of hosts.
func BuiltinCatalogue(mode CatalogueMode, hosts ...Names) (*Catalogue, error) {
	var reference Names
	if err := json.Unmarshal(builtinNames, &reference); err != nil {
		return nil, fmt.Errorf("read the built-in catalogue: %w", err)
	}
	return NewCatalogue(mode, append([]Names{reference, ownNames}, hosts...)...), nil
}

// NewCatalogue unites the names of several hosts.
func NewCatalogue(mode CatalogueMode, hosts ...Names) *Catalogue {
	c := &Catalogue{mode: mode, known: map[string]bool{}, opened: map[string]bool{}}
	for _, n := range hosts {
		c.names.Services = append(c.names.Services, n.Services...)
		c.names.Methods = append(c.names.Methods, n.Methods...)
		c.names.Events = append(c.names.Events, n.Events...)
		c.names.Functions = append(c.names.Functions, n.Functions...)
	}
	for _, list := range []*[]string{&c.names.Services, &c.names.Methods, &c.names.Events, &c.names.Functions} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	c.index()
	return c
}

func (c *Catalogue) index() {
	for _, s := range c.names.Services {
		c.known["service "+s] = true
		c.opened["rpc "+firstSegment(s)] = true
	}
	for _, m := range c.names.Methods {
		c.known["method "+m] = true
		c.opened["rpc "+firstSegment(m)] = true
	}
	for _, f := range c.names.Functions {
		c.known["function "+f] = true
	}
	for _, e := range c.names.Events {
		c.known["event "+e] = true
		c.opened["event "+firstSegment(e)] = true
		for group := e; group != ""; {
			c.known["group "+group] = true
			cut := max(strings.LastIndexByte(group, '.'), 0)
			group = group[:cut]
		}
	}
}

// Names lists all names, sorted. The caller must not change them.
func (c *Catalogue) Names() Names { return c.names }

// nameCheck is what Check needs to know of one sort of name (actions-v2.md section 3.7).
type nameCheck struct {
	sort, space string
	valid       func(string) bool
	id          string
}

// Check says whether a condition may be set: nil, or an error that names the way out.
func (c *Catalogue) Check(condition Condition) error {
	if condition.Scope == All {
		return nil
	}
	check := checkOf(condition)
	if c.known[check.sort+" "+condition.Name] {
		return nil
	}
	refused := errs.New(errs.NotFound, check.id, "Execution condition is invalid")
	if c.mode == Strict {
		return refused
	}
	if !check.valid(condition.Name) {
		refused.Message += fmt.Sprintf(": malformed %s name", check.sort)
		return refused
	}
	if check.space != "" && !c.opened[check.space+" "+firstSegment(condition.Name)] {
		return nil
	}
	refused.Message += fmt.Sprintf(": the catalogue has no such %s; its host adds it with PUT /v1/catalog/{host}", check.sort)
	return refused
}

func checkOf(c Condition) nameCheck {
	switch {
	case c.Kind == Function:
		return nameCheck{sort: "function", valid: validDotted, id: "COMMAND-cdy39t0ksr"}
	case c.Kind == Event && c.Scope == Group:
		return nameCheck{sort: "group", space: "event", valid: validDotted, id: "COMMAND-er5oneb5lz"}
	case c.Kind == Event:
		return nameCheck{sort: "event", space: "event", valid: ValidEventType, id: "COMMAND-74aaqj8fv9"}
	case c.Scope == Service:
		return nameCheck{sort: "service", space: "rpc", valid: validDotted, id: "COMMAND-qu6dfhiioq"}
	default:
		return nameCheck{sort: "method", space: "rpc", valid: validMethod, id: "COMMAND-vysplsevt8"}
	}
}

func firstSegment(name string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), ".")
	first, _, _ = strings.Cut(first, "/")
	return first
}

// MaxName is how many bytes the name of a condition, and so an event's type, may have.
const MaxName = 1000

// ValidEventType says whether an event may have this type: 1 to 32 segments with dots between them, each without white space, control
// characters, "/" and "*", because conditions are split and matched on those; at most MaxName bytes.
func ValidEventType(name string) bool { return validDotted(name) }

func validDotted(name string) bool {
	if len(name) > MaxName || strings.Count(name, ".") >= MaxSegments {
		return false
	}
	for segment := range strings.SplitSeq(name, ".") {
		if segment == "" || strings.ContainsFunc(segment, notInName) {
			return false
		}
	}
	return true
}

func notInName(r rune) bool {
	return r == '/' || r == '*' || r == unicode.ReplacementChar || unicode.IsSpace(r) || !unicode.IsPrint(r)
}

func validMethod(name string) bool {
	service, method, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	return ok && name[0] == '/' && validDotted(service) && validDotted(method)
}
