package action_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

func builtin(t *testing.T, mode action.CatalogueMode) *action.Catalogue {
	t.Helper()
	c, err := action.BuiltinCatalogue(mode)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCatalogueCheck(t *testing.T) {
	const (
		method   = "COMMAND-vysplsevt8"
		service  = "COMMAND-qu6dfhiioq"
		function = "COMMAND-cdy39t0ksr"
		event    = "COMMAND-74aaqj8fv9"
		group    = "COMMAND-er5oneb5lz"
	)
	tests := []struct {
		name      string
		condition action.Condition
		// The id of the refusal in either mode, "" where it is taken.
		strict, namespaces string
	}{
		{"all requests", action.Condition{Kind: action.Request, Scope: action.All}, "", ""},
		{"all events", action.Condition{Kind: action.Event, Scope: action.All}, "", ""},
		{"a known method", action.Condition{Kind: action.Request, Scope: action.Exact, Name: "/zitadel.action.v2.ActionService/CreateTarget"}, "", ""},
		{"a method of ours", action.Condition{Kind: action.Response, Scope: action.Exact, Name: "/callout.v1.EventService/Publish"}, "", ""},
		{"a known method without its slash", action.Condition{Kind: action.Request, Scope: action.Exact, Name: "zitadel.action.v2.ActionService/CreateTarget"}, method, method},
		{"a typo in a known service", action.Condition{Kind: action.Request, Scope: action.Exact, Name: "/zitadel.action.v2.ActionService/CreatTarget"}, method, method},
		{"a method of a new namespace", action.Condition{Kind: action.Request, Scope: action.Exact, Name: "/acme.orders.v1.OrderService/Create"}, method, ""},
		{"a method without a service", action.Condition{Kind: action.Request, Scope: action.Exact, Name: "/Create"}, method, method},
		{"a method with three parts", action.Condition{Kind: action.Request, Scope: action.Exact, Name: "/acme.A/B/C"}, method, method},
		{"a slash alone", action.Condition{Kind: action.Request, Scope: action.Exact, Name: "/"}, method, method},
		{"two slashes", action.Condition{Kind: action.Request, Scope: action.Exact, Name: "//acme.A/B"}, method, method},
		{"a known service", action.Condition{Kind: action.Response, Scope: action.Service, Name: "zitadel.action.v2.ActionService"}, "", ""},
		{"a service of a new namespace", action.Condition{Kind: action.Response, Scope: action.Service, Name: "acme.orders.v1.OrderService"}, service, ""},
		{"a service with a slash", action.Condition{Kind: action.Response, Scope: action.Service, Name: "acme.orders/Create"}, service, service},
		{"a typo in a known namespace", action.Condition{Kind: action.Response, Scope: action.Service, Name: "zitadel.acton"}, service, service},
		{"a known function", action.Condition{Kind: action.Function, Scope: action.Exact, Name: "preuserinfo"}, "", ""},
		{"an unknown function: they have no namespaces", action.Condition{Kind: action.Function, Scope: action.Exact, Name: "preorder"}, function, function},
		{"a known event", action.Condition{Kind: action.Event, Scope: action.Exact, Name: "user.human.added"}, "", ""},
		{"a typo in a known event", action.Condition{Kind: action.Event, Scope: action.Exact, Name: "user.human.addd"}, event, event},
		{"an event of a new namespace", action.Condition{Kind: action.Event, Scope: action.Exact, Name: "order.created"}, event, ""},
		{"an event that looks like a group", action.Condition{Kind: action.Event, Scope: action.Exact, Name: "user.*"}, event, event},
		{"an event with a slash", action.Condition{Kind: action.Event, Scope: action.Exact, Name: "order/created"}, event, event},
		{"an event of methods' namespace", action.Condition{Kind: action.Event, Scope: action.Exact, Name: "zitadel.created"}, event, ""},
		{"a known group", action.Condition{Kind: action.Event, Scope: action.Group, Name: "user.human"}, "", ""},
		{"a whole event as a group", action.Condition{Kind: action.Event, Scope: action.Group, Name: "user.human.added"}, "", ""},
		{"half a segment in a known namespace", action.Condition{Kind: action.Event, Scope: action.Group, Name: "user.hum"}, group, group},
		{"half a first segment", action.Condition{Kind: action.Event, Scope: action.Group, Name: "use"}, group, ""},
		{"a star as a group", action.Condition{Kind: action.Event, Scope: action.Group, Name: "*"}, group, group},
		{"a group that ends in a dot", action.Condition{Kind: action.Event, Scope: action.Group, Name: "order."}, group, group},
		{"a name over the limit", action.Condition{Kind: action.Event, Scope: action.Exact, Name: strings.Repeat("é", 501)}, event, event},
		{"a name that is not UTF-8", action.Condition{Kind: action.Event, Scope: action.Exact, Name: "order.\xff"}, event, event},
	}
	strict, namespaces := builtin(t, action.Strict), builtin(t, action.Namespaces)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for mode, id := range map[*action.Catalogue]string{strict: tt.strict, namespaces: tt.namespaces} {
				kind := errs.NotFound
				if id == "" {
					kind = ""
				}
				wantError(t, mode.Check(tt.condition), kind, id)
			}
		})
	}
}

func TestRefusalNamesTheWayOut(t *testing.T) {
	condition := action.Condition{Kind: action.Event, Scope: action.Exact, Name: "user.addd"}
	if err := builtin(t, action.Namespaces).Check(condition); err == nil || !strings.Contains(err.Error(), "PUT /v1/catalog/{host}") {
		t.Errorf("got %v", err)
	}
	e, _ := errs.As(builtin(t, action.Strict).Check(condition))
	if e == nil || e.Message != "Execution condition is invalid" {
		t.Errorf("strict: got %v, want the reference's text", e)
	}
}

func TestNamesAreUnitedSortedAndOnce(t *testing.T) {
	c := action.NewCatalogue(action.Strict,
		action.Names{Services: []string{"b.B", "a.A"}, Methods: []string{"/b.B/X"}, Events: []string{"z.z"}, Functions: []string{"g"}},
		action.Names{Services: []string{"a.A"}, Methods: []string{"/a.A/X"}, Events: []string{"y.y", "z.z"}, Functions: []string{"f"}})
	want := action.Names{Services: []string{"a.A", "b.B"}, Methods: []string{"/a.A/X", "/b.B/X"}, Events: []string{"y.y", "z.z"}, Functions: []string{"f", "g"}}
	if diff := cmp.Diff(want, c.Names()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	own := builtin(t, action.Strict).Names()
	if !slices.IsSorted(own.Methods) || !slices.Contains(own.Methods, "/callout.v1.EventService/Publish") || !slices.Contains(own.Functions, "presamlresponse") {
		t.Error("the built-in names are not sorted, or miss some")
	}
	for _, event := range own.Events {
		if !action.ValidEventType(event) {
			t.Errorf("built-in event %q could never be published", event)
		}
	}
}

func TestValidEventType(t *testing.T) {
	tests := map[string]bool{
		"user.human.added": true, "ping": true, "bestellung.erhöht": true, "A-b_c.1": true, strings.Repeat("a", 1000): true,
		"": false, ".": false, ".a": false, "a.": false, "a..b": false, "a b": false, "a\tb": false, "a\u00a0b": false, "a\u2028b": false,
		"a/b": false, "a.*": false, "*": false, "a\x00": false, "a\xff": false, "a\u200bb": false, strings.Repeat("a", 1001): false,
		strings.Repeat("a.", 31) + "a": true, strings.Repeat("a.", 32) + "a": false,
	}
	for name, want := range tests {
		if got := action.ValidEventType(name); got != want {
			t.Errorf("%.40q: got %v", name, got)
		}
	}
}
