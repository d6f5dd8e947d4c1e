package action_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// conditionIDs are the table of actions-v2.md section 4.1, both ways.
var conditionIDs = []struct {
	id        action.ExecutionID
	condition action.Condition
}{
	{"request/zitadel.session.v2.SessionService/ListSessions",
		action.Condition{Kind: action.Request, Scope: action.Exact, Name: "/zitadel.session.v2.SessionService/ListSessions"}},
	{"request/zitadel.session.v2.SessionService",
		action.Condition{Kind: action.Request, Scope: action.Service, Name: "zitadel.session.v2.SessionService"}},
	{"request", action.Condition{Kind: action.Request, Scope: action.All}},
	{"response/a.B/C", action.Condition{Kind: action.Response, Scope: action.Exact, Name: "/a.B/C"}},
	{"response/a.B", action.Condition{Kind: action.Response, Scope: action.Service, Name: "a.B"}},
	{"response", action.Condition{Kind: action.Response, Scope: action.All}},
	{"event/user.human.added", action.Condition{Kind: action.Event, Scope: action.Exact, Name: "user.human.added"}},
	{"event/user.human.*", action.Condition{Kind: action.Event, Scope: action.Group, Name: "user.human"}},
	{"event", action.Condition{Kind: action.Event, Scope: action.All}},
	{"function/preuserinfo", action.Condition{Kind: action.Function, Scope: action.Exact, Name: "preuserinfo"}},
}

func TestConditionAndIDAreInverse(t *testing.T) {
	for _, tt := range conditionIDs {
		t.Run(string(tt.id), func(t *testing.T) {
			if got := tt.condition.ID(); got != tt.id {
				t.Errorf("ID: got %q", got)
			}
			got, err := action.ParseExecutionID(tt.id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.condition, got); diff != "" {
				t.Errorf("parsed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseExecutionIDRefuses(t *testing.T) {
	for _, id := range []action.ExecutionID{"", "/", "Request", "request/", "event/", "event/.*", "function", "function/", "session/a", " event"} {
		if c, err := action.ParseExecutionID(id); !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("%q: got %+v, %v", id, c, err)
		}
	}
}

func FuzzParseExecutionID(f *testing.F) {
	for _, tt := range conditionIDs {
		f.Add(string(tt.id))
	}
	f.Add("event/a.*.*")
	f.Add("request//a/b")
	f.Add("event//")
	f.Add("function//a/")
	f.Fuzz(func(t *testing.T, id string) {
		c, err := action.ParseExecutionID(action.ExecutionID(id))
		if err == nil && string(c.ID()) != id {
			t.Errorf("%q became %+v, whose id is %q", id, c, c.ID())
		}
		if err == nil && (c.Scope == action.All) != (c.Name == "") {
			t.Errorf("%q: scope %s with the name %q", id, c.Scope, c.Name)
		}
	})
}

func TestGroupNameDropsOneSuffix(t *testing.T) {
	for in, want := range map[string]string{"user": "user", "user.*": "user", "user.human.*": "user.human", "user.*.*": "user.*", "user*": "user*", ".*": ""} {
		if got := action.GroupName(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestEventCandidates(t *testing.T) {
	tests := []struct {
		eventType string
		want      []action.ExecutionID
	}{
		{"user.human.added", []action.ExecutionID{"event/user.human.added", "event/user.human.added.*", "event/user.human.*", "event/user.*", "event"}},
		{"ping", []action.ExecutionID{"event/ping", "event/ping.*", "event"}},
		{"user_schema.created", []action.ExecutionID{"event/user_schema.created", "event/user_schema.created.*", "event/user_schema.*", "event"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, action.EventCandidates(tt.eventType)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.eventType, diff)
		}
	}
	longest := strings.Repeat("a.", action.MaxSegments-1) + "a"
	if n := len(action.EventCandidates(longest)); !action.ValidEventType(longest) || n != action.MaxSegments+2 {
		t.Errorf("%d segments: %d candidates", action.MaxSegments, n)
	}
}

func TestValidateTargets(t *testing.T) {
	many := func(n int) (ids []action.TargetID) {
		for range n {
			ids = append(ids, action.NewTargetID())
		}
		return ids
	}
	tests := []struct {
		name    string
		targets []action.TargetID
		kind    errs.Kind
		id      string
	}{
		{"none", nil, "", ""},
		{"two", []action.TargetID{"a", "b"}, "", ""},
		{"as many as may be", many(action.MaxTargets), "", ""},
		{"one too many", many(action.MaxTargets + 1), errs.InvalidArgument, "COMMAND-tg100max"},
		{"an empty one", []action.TargetID{"a", ""}, errs.InvalidArgument, "COMMAND-hdm4zl1hmd"},
		{"one twice", []action.TargetID{"a", "b", "a"}, errs.NotFound, "COMMAND-17e8fq1ggk"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantError(t, action.ValidateTargets(tt.targets), tt.kind, tt.id) })
	}
}

// wantError wants an error of that kind and with that id, or none for "".
func wantError(t *testing.T, err error, kind errs.Kind, id string) {
	t.Helper()
	if kind == "" {
		if err != nil {
			t.Errorf("got error %v", err)
		}
		return
	}
	e, ok := errs.As(err)
	if !ok || e.Kind != kind || e.ID != id {
		t.Errorf("got error %v, want %s with the id %q", err, kind, id)
	}
}
