package action_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

func TestPageComplete(t *testing.T) {
	for limit, want := range map[uint32]uint32{0: action.DefaultLimit, 1: 1, action.MaxLimit: action.MaxLimit} {
		if p, err := (action.Page{Limit: limit, Offset: 3, Ascending: true}).Complete(); err != nil || p.Limit != want || p.Offset != 3 || !p.Ascending {
			t.Errorf("limit %d: got %+v, %v", limit, p, err)
		}
	}
	_, err := action.Page{Limit: action.MaxLimit + 1}.Complete()
	wantError(t, err, errs.InvalidArgument, "QUERY-4M0fs")
}

func minute(n int) time.Time { return time.Date(2026, 1, 1, 0, n, 0, 0, time.UTC) }

func someTargets() []action.Target {
	return []action.Target{
		{ID: "c", Name: "Alpha", Type: action.Webhook, Timeout: 3, Endpoint: "https://b", Created: minute(1), Changed: minute(9)},
		{ID: "a", Name: "beta", Type: action.Call, Timeout: 1, Endpoint: "https://c", Created: minute(2), Changed: minute(8), InterruptOnError: true},
		{ID: "b", Name: "alphabet", Type: action.Async, Timeout: 2, Endpoint: "https://a", Created: minute(2), Changed: minute(7)},
		{ID: "d", Name: "100%_\\", Type: action.Webhook, Timeout: 2, Endpoint: "https://a", Created: minute(3), Changed: minute(6), InterruptOnError: true},
	}
}

func TestSelectTargets(t *testing.T) {
	name := func(value string, match action.TextMatch, fold bool) []action.NameFilter {
		return []action.NameFilter{{Value: value, Match: match, IgnoreCase: fold}}
	}
	all := action.Page{Limit: 100, Ascending: true}
	tests := []struct {
		name  string
		query action.TargetQuery
		want  string
		total int
	}{
		{"newest first, ids break ties", action.TargetQuery{Page: action.Page{Limit: 100}}, "d b a c", 4},
		{"oldest first", action.TargetQuery{Page: all}, "c a b d", 4},
		{"by change", action.TargetQuery{Page: all, Sort: action.SortChanged}, "d b a c", 4},
		{"by id", action.TargetQuery{Page: all, Sort: action.SortID}, "a b c d", 4},
		{"by id, the last first", action.TargetQuery{Page: action.Page{Limit: 9}, Sort: action.SortID}, "d c b a", 4},
		{"by name, in byte order", action.TargetQuery{Page: all, Sort: action.SortName}, "d c b a", 4},
		{"by type", action.TargetQuery{Page: all, Sort: action.SortType}, "b a c d", 4},
		{"by endpoint", action.TargetQuery{Page: all, Sort: action.SortEndpoint}, "b d c a", 4},
		{"by timeout", action.TargetQuery{Page: all, Sort: action.SortTimeout}, "a b d c", 4},
		{"by interruption", action.TargetQuery{Page: all, Sort: action.SortInterrupt}, "b c a d", 4},
		{"a page in the middle", action.TargetQuery{Page: action.Page{Limit: 2, Offset: 1, Ascending: true}}, "a b", 4},
		{"the last, short page", action.TargetQuery{Page: action.Page{Limit: 3, Offset: 3, Ascending: true}}, "d", 4},
		{"past the end the total is still true", action.TargetQuery{Page: action.Page{Limit: 3, Offset: 4}}, "", 4},
		{"far past the end", action.TargetQuery{Page: action.Page{Limit: 3, Offset: math.MaxUint64}}, "", 4},
		{"a name", action.TargetQuery{Page: all, Names: name("Alpha", action.Equals, false)}, "c", 1},
		{"a name in another case", action.TargetQuery{Page: all, Names: name("ALPHA", action.Equals, true)}, "c", 1},
		{"a beginning", action.TargetQuery{Page: all, Names: name("alpha", action.StartsWith, false)}, "b", 1},
		{"a beginning in any case", action.TargetQuery{Page: all, Names: name("aLPHA", action.StartsWith, true)}, "c b", 2},
		{"a part", action.TargetQuery{Page: all, Names: name("et", action.Contains, false)}, "a b", 2},
		{"an end in any case", action.TargetQuery{Page: all, Names: name("BET", action.EndsWith, true)}, "b", 1},
		{"wildcards are only letters", action.TargetQuery{Page: all, Names: name("%", action.Contains, false)}, "d", 1},
		{"ids", action.TargetQuery{Page: all, IDs: [][]action.TargetID{{"a", "x", "d"}}}, "a d", 2},
		{"all filters must hold", action.TargetQuery{Page: all, IDs: [][]action.TargetID{{"a", "b"}, {"b", "c"}}, Names: name("alpha", action.StartsWith, true)}, "b", 1},
		{"nothing", action.TargetQuery{Page: all, IDs: [][]action.TargetID{{"x"}}}, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page, total := tt.query.Select(someTargets())
			var ids string
			for _, target := range page {
				ids += " " + string(target.ID)
			}
			if diff := cmp.Diff(fmt.Sprint(tt.want, tt.total), fmt.Sprint(trim(ids), total)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func trim(s string) string {
	if s == "" {
		return s
	}
	return s[1:]
}

func TestSelectExecutions(t *testing.T) {
	var all []action.Execution
	for i, id := range []action.ExecutionID{"event", "event/user.*", "event/user.added", "function/preuserinfo", "request", "request/a.B", "response", "response/a.B", "response/a.B/C"} {
		c, err := action.ParseExecutionID(id)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, action.Execution{Condition: c, Targets: []action.TargetID{"t", action.TargetID(fmt.Sprint("t", i%2))}, Created: minute(i / 3), Changed: minute(-i)})
	}
	page := action.Page{Limit: 100}
	tests := []struct {
		name  string
		query action.ExecutionQuery
		want  []action.ExecutionID
	}{
		{"by id, as the reference lists them", action.ExecutionQuery{Page: page, Sort: action.SortID}, []action.ExecutionID{"response/a.B/C", "response/a.B",
			"response", "request/a.B", "request", "function/preuserinfo", "event/user.added", "event/user.*", "event"}},
		{"by creation", action.ExecutionQuery{Page: action.Page{Limit: 4}}, []action.ExecutionID{"response/a.B/C", "response/a.B", "response", "request/a.B"}},
		{"by change", action.ExecutionQuery{Page: action.Page{Limit: 2}, Sort: action.SortChanged}, []action.ExecutionID{"event", "event/user.*"}},
		{"of a kind", action.ExecutionQuery{Page: page, Sort: action.SortID, Kinds: []action.Kind{action.Event}}, []action.ExecutionID{"event/user.added", "event/user.*", "event"}},
		{"of two kinds there is none", action.ExecutionQuery{Page: page, Kinds: []action.Kind{action.Event, action.Request}}, nil},
		{"that call a target", action.ExecutionQuery{Page: page, Sort: action.SortID, Targets: []action.TargetID{"t1"}}, []action.ExecutionID{"response/a.B", "request/a.B", "function/preuserinfo", "event/user.*"}},
		{"of ids", action.ExecutionQuery{Page: page, Sort: action.SortID, IDs: [][]action.ExecutionID{{"event", "request", "none"}}}, []action.ExecutionID{"request", "event"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, _ := tt.query.Select(all)
			var got []action.ExecutionID
			for _, e := range found {
				got = append(got, e.Condition.ID())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
