package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
)

// TestUnfinished: all that is pending or retrying for a target, whatever its shard, and nothing else.
func TestUnfinished(t *testing.T) {
	withDatabase(func(t *testing.T, d *database) {
		r := rules(time.Second)
		r.Shards = 3
		spread := ledger.New(d.client, databaseName, r, logging.Discard())
		documents := map[string]map[string]any{}
		var want []action.DeliveryID
		for i := range 60 {
			e := event()
			e.ID = action.EventID(fmt.Sprint(i))
			one := r.Plan(e, []ledger.Recipient{{Target: "t1"}}, now.Add(time.Duration(i)*time.Second))[0]
			switch i % 4 {
			case 0:
				one.State = action.Retrying
			case 1:
				one = r.Kill(one, ledger.ReasonRemoved, now)
			case 2:
				one.Target = "t2"
			}
			if one.Target == "t1" && !one.State.Final() {
				want = append(want, one.ID)
			}
			documents["deliveries/"+string(one.ID)] = document(one)
		}
		d.put(t, documents)
		for _, limit := range []int{100, 30, 7} {
			found, err := spread.Unfinished(t.Context(), "default", "t1", limit)
			if err != nil || len(found) != min(limit, len(want)) {
				t.Errorf("%d of %d, limit %d: %v", len(found), len(want), limit, err)
			}
			if limit < len(want) {
				continue
			}
			var got []action.DeliveryID
			for _, v := range found {
				got = append(got, v.ID)
			}
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("limit %d (-want +got):\n%s", limit, diff)
			}
		}
	})(t)
}
