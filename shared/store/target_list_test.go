package store

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
)

// TestListsAsTheDomainSelects: whether by a query or a scan, a list is what the domain says it is.
func TestListsAsTheDomainSelects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		var all []action.Target
		kinds := []action.TargetType{action.Webhook, action.Call, action.Async}
		for n := range 23 {
			if n%3 == 0 {
				time.Sleep(time.Second) // the others are of the same moment
			}
			made := newTarget(action.TargetID(fmt.Sprintf("t%d", n*7%23)))
			made.Type, made.InterruptOnError, made.Timeout, made.Endpoint = kinds[n%3], n%2 == 0, time.Duration(1+n%4)*time.Second, fmt.Sprint("https://", n%5)
			made, err := s.CreateTarget(t.Context(), here, made)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, made)
		}
		for _, sort := range []action.Sort{action.SortCreated, action.SortChanged, action.SortID, action.SortName, action.SortType, action.SortEndpoint, action.SortTimeout, action.SortInterrupt} {
			for _, filter := range []action.TargetQuery{{}, {Names: []action.NameFilter{{Value: "1", Match: action.Contains}}}, {IDs: [][]action.TargetID{{"t1", "t2", "none"}}}} {
				for _, page := range []action.Page{{Limit: 100}, {Limit: 5, Offset: 3}, {Limit: 5, Offset: 20, Ascending: true}, {Limit: 1, Offset: 23}, {Limit: 9, Offset: math.MaxUint64}} {
					q := filter
					q.Sort, q.Page = sort, page
					wanted, total := q.Select(all)
					got, n, err := s.ListTargets(t.Context(), here, q)
					if diff := cmp.Diff(wanted, got, cmp.Comparer(func(a, b action.Target) bool {
						return a.ID == b.ID && a.SigningKey() == b.SigningKey() && a.Created.Equal(b.Created)
					})); err != nil || n != total || len(wanted)+len(got) > 0 && diff != "" {
						t.Errorf("%+v: %d of %d, %v (-want +got):\n%s", q, n, total, err, diff)
					}
				}
			}
		}
	})
}
