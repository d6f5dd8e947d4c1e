package command_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
)

func TestExecutionSet(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		out := w.ok("execution", "set", "event/order.created", "beta", "t1")
		want := "condition  event/order.created\ntarget     beta (t2)\ntarget     alpha (t1)\nset        2000-01-01T00:00:03Z\n"
		if diff := cmp.Diff(want, out); diff != "" {
			t.Errorf("printed (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]action.TargetID{"t2", "t1"}, w.executions.all[0].Targets); diff != "" {
			t.Errorf("targets (-want +got):\n%s", diff)
		}
		wantSaid(t, w.ok("execution", "set", "event/order.created"), "none: nothing is called")
		if len(w.executions.all) != 0 {
			t.Errorf("left are %v", w.executions.all)
		}
	})
}

func TestExecutionSetReachesTheRightCondition(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		tests := map[string]action.Condition{
			"event":                       {Kind: action.Event, Scope: action.All},
			"event/user.human.added":      {Kind: action.Event, Scope: action.Exact, Name: "user.human.added"},
			"event/user.*":                {Kind: action.Event, Scope: action.Group, Name: "user"},
			"request":                     {Kind: action.Request, Scope: action.All},
			"request/a.v1.Orders":         {Kind: action.Request, Scope: action.Service, Name: "a.v1.Orders"},
			"request/a.v1.Orders/Create":  {Kind: action.Request, Scope: action.Exact, Name: "/a.v1.Orders/Create"},
			"request//a.v1.Orders/Change": {Kind: action.Request, Scope: action.Exact, Name: "/a.v1.Orders/Change"},
			"response":                    {Kind: action.Response, Scope: action.All},
			"response/a.v1.Orders":        {Kind: action.Response, Scope: action.Service, Name: "a.v1.Orders"},
			"response/a.v1.Orders/Create": {Kind: action.Response, Scope: action.Exact, Name: "/a.v1.Orders/Create"},
			"function/preuserinfo":        {Kind: action.Function, Scope: action.Exact, Name: "preuserinfo"},
		}
		for text, want := range tests {
			w.executions.all = nil
			out := w.ok("execution", "set", text, "alpha")
			if diff := cmp.Diff(want, w.executions.all[0].Condition); diff != "" {
				t.Errorf("%s (-want +got):\n%s", text, diff)
			}
			wantSaid(t, out, "condition  "+string(want.ID())+"\n")
			wantSaid(t, w.ok("execution", "list"), string(want.ID())+"  ")
		}
	})
}

func TestExecutionSetRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		for _, text := range []string{"", "order.created", "events/a", "event/", "request/", "request//", "function", "function/", "event/a/b", "event/.*", "/event"} {
			w.fails(2, []string{"execution", "set", text, "alpha"}, "is no condition", "event/GROUP.*")
		}
		w.fails(2, []string{"execution", "set"}, "--help")
		w.fails(1, []string{"execution", "set", "event/a", "alpha", "gamma"}, `"gamma"`)
		w.fails(2, []string{"execution", "set", "event/a", "alpha", "t1"}, "alpha (t1) is named twice")
		if len(w.executions.all) != 0 {
			t.Errorf("set were %v", w.executions.all)
		}
	})
}

func TestExecutionList(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		w.ok("execution", "set", "event/order.*", "alpha", "beta")
		w.ok("execution", "set", "request/a.B", "beta")
		tests := map[string]struct {
			args []string
			want []string
		}{
			"all":                   {nil, []string{"CONDITION TARGETS CHANGED", "event/order.* alpha (t1), beta (t2) 2000-01-01T00:00:03Z", "request/a.B beta (t2) 2000-01-01T00:00:03Z"}},
			"of a type":             {[]string{"--type", "request"}, []string{"CONDITION TARGETS CHANGED", "request/a.B beta (t2) 2000-01-01T00:00:03Z"}},
			"that call a target":    {[]string{"--target", "alpha"}, []string{"CONDITION TARGETS CHANGED", "event/order.* alpha (t1), beta (t2) 2000-01-01T00:00:03Z"}},
			"that are not there":    {[]string{"--type", "function"}, []string{"CONDITION TARGETS CHANGED"}},
			"of a type that is not": {[]string{"--type", "response", "--target", "beta"}, []string{"CONDITION TARGETS CHANGED"}},
		}
		for name, test := range tests {
			var lines []string
			for line := range strings.Lines(w.ok(append([]string{"execution", "list"}, test.args...)...)) {
				lines = append(lines, strings.Join(strings.Fields(line), " "))
			}
			if diff := cmp.Diff(test.want, lines); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		wantSaid(t, w.ok("execution", "list", "-o", "json"), `"group": "order"`, `"service": "a.B"`, `"t1"`)
		w.fails(1, []string{"execution", "list", "--target", "gamma"}, `"gamma"`)
	})
}

func TestHostileNamesDoNotReachTheTerminal(t *testing.T) {
	inWorld(t, func(w *world) {
		w.ok("target", "create", "--name", "evil\x1b[2J\nid  fake\u202e", "--endpoint", "http://x/")
		for _, args := range [][]string{{"target", "list"}, {"target", "get", "t1"}, {"execution", "set", "event/a\u202eb", "t1"}, {"execution", "list"}} {
			out := w.ok(args...)
			if strings.ContainsAny(out, "\x1b\u202e") || strings.Contains(out, "\nid  fake") {
				t.Errorf("%s prints %q", args, out)
			}
		}
	})
}
