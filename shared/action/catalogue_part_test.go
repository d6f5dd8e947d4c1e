package action_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

func TestHostNameValidate(t *testing.T) {
	for name, want := range map[action.HostName]errs.Kind{
		"orders": "", "orders.acme.example": "", "a_b-c.1": "", "9": "", action.HostName(strings.Repeat("a", 100)): "",
		"": errs.InvalidArgument, ".": errs.InvalidArgument, "-a": errs.InvalidArgument, "a/b": errs.InvalidArgument, "a:1": errs.InvalidArgument,
		"é": errs.InvalidArgument, "a b": errs.InvalidArgument, action.HostName(strings.Repeat("a", 101)): errs.InvalidArgument,
	} {
		t.Run(string(name), func(t *testing.T) { wantError(t, name.Validate(), want, "") })
	}
}

func TestHostPartIsMadeWhole(t *testing.T) {
	part := action.HostPart{Names: action.Names{
		Services: []string{"b.B"}, Methods: []string{"/b.B/Y", "/a.A/X", "/b.B/Y"}, Events: []string{"z.z", "a", "z.z"}, Functions: []string{"f"},
	}, Described: []string{"b.B", "a.A"}}
	if err := part.Validate(); err != nil {
		t.Fatal(err)
	}
	want := action.HostPart{Names: action.Names{
		Services: []string{"a.A", "b.B"}, Methods: []string{"/a.A/X", "/b.B/Y"}, Events: []string{"a", "z.z"}, Functions: []string{"f"},
	}, Described: []string{"a.A", "b.B"}}
	if diff := cmp.Diff(want, part); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHostPartNamesTheField(t *testing.T) {
	tests := map[string]struct {
		names action.Names
		says  string
	}{
		"no name at all":         {action.Names{}, "all are empty"},
		"a service with a /":     {action.Names{Services: []string{"a.A", "a/B"}}, `services[1]: "a/B" is malformed`},
		"a method without its /": {action.Names{Methods: []string{"a.A/B"}}, `methods[0]: "a.A/B" is malformed: want /package.Service/Method`},
		"an empty method":        {action.Names{Methods: []string{""}}, `methods[0]: ""`},
		"a group as an event":    {action.Names{Events: []string{"a", "b", "user.*"}}, `events[2]: "user.*"`},
		"an empty function":      {action.Names{Functions: []string{""}}, `functions[0]: ""`},
		"a name over the limit":  {action.Names{Events: []string{strings.Repeat("é", 501)}}, "events[0]: \"éé"},
		"what is not UTF-8":      {action.Names{Events: []string{"a\xff"}}, `events[0]: "a\xff"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			part := action.HostPart{Names: tt.names}
			err := part.Validate()
			wantError(t, err, errs.InvalidArgument, "")
			if err != nil && (!strings.Contains(err.Error(), tt.says) || len(err.Error()) > 300) {
				t.Errorf("got %v, want %s", err, tt.says)
			}
		})
	}
}
