package action

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func TestDeliveryFilterMatches(t *testing.T) {
	d := Delivery{ID: DeliveryOf("key", "t1"), Event: "abcdefghijklmnopqrstuvwxyz", Target: "t1", EventType: "order.created", State: Dead, Created: noon}
	tests := map[string]struct {
		filter DeliveryFilter
		want   bool
	}{
		"everything":              {DeliveryFilter{}, true},
		"its state":               {DeliveryFilter{States: []State{Pending, Dead}}, true},
		"another state":           {DeliveryFilter{States: []State{Pending}}, false},
		"its target":              {DeliveryFilter{Target: "t1"}, true},
		"another target":          {DeliveryFilter{Target: "t"}, false},
		"its type":                {DeliveryFilter{EventType: "order.created"}, true},
		"a part of its type":      {DeliveryFilter{EventType: "order"}, false},
		"from then on":            {DeliveryFilter{From: noon}, true},
		"from later on":           {DeliveryFilter{From: noon.Add(1)}, false},
		"until then":              {DeliveryFilter{To: noon}, false},
		"until later":             {DeliveryFilter{To: noon.Add(1)}, true},
		"not held":                {DeliveryFilter{Held: new(false)}, true},
		"held":                    {DeliveryFilter{Held: new(true)}, false},
		"a part of its id":        {DeliveryFilter{Text: strings.ToUpper(string(DeliveryOf("key", "t1"))[4:9])}, true},
		"a part of its event key": {DeliveryFilter{Text: "mnop"}, true},
		"another text":            {DeliveryFilter{Text: "mnpo"}, false},
		"all but one thing":       {DeliveryFilter{States: []State{Dead}, Target: "t1", EventType: "order.created", From: noon, To: noon}, false},
	}
	for name, tt := range tests {
		if got := tt.filter.Matches(d); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestDeliveryChangeApply(t *testing.T) {
	old := DeliverySettings{Schedule: []time.Duration{time.Second}, Limits: Limits{Rate: 5, Concurrency: 2}}
	tests := map[string]struct {
		change  DeliveryChange
		want    DeliverySettings
		differs bool
	}{
		"nothing":            {DeliveryChange{}, old, false},
		"only a pause":       {DeliveryChange{Paused: new(true)}, old, false},
		"the same":           {DeliveryChange{Schedule: &[]time.Duration{time.Second}, Rate: new(5), Concurrency: new(2)}, old, false},
		"no schedule":        {DeliveryChange{Schedule: &[]time.Duration{}}, DeliverySettings{Schedule: []time.Duration{}, Limits: old.Limits}, true},
		"another schedule":   {DeliveryChange{Schedule: &[]time.Duration{time.Minute}}, DeliverySettings{Schedule: []time.Duration{time.Minute}, Limits: old.Limits}, true},
		"no limit of a rate": {DeliveryChange{Rate: new(0)}, DeliverySettings{Schedule: old.Schedule, Limits: Limits{Concurrency: 2}}, true},
	}
	for name, tt := range tests {
		got, differs := tt.change.Apply(old)
		if diff := cmp.Diff(tt.want, got); diff != "" || differs != tt.differs {
			t.Errorf("%s: differs %v (-want +got):\n%s", name, differs, diff)
		}
	}
}

func TestWaitText(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", time.Second: "1s", 90 * time.Second: "1m30s", 2 * time.Minute: "2m", time.Hour: "1h", 90 * time.Minute: "1h30m",
		24 * time.Hour: "24h", time.Hour + time.Second: "1h0m1s", 10 * time.Minute: "10m", 1500 * time.Millisecond: "1.5s"} {
		got := WaitText(d)
		if back, err := time.ParseDuration(got); got != want || err != nil || back != d {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestFateWhy(t *testing.T) {
	tried := []Attempt{{Number: 1, Status: 503}, {Number: 2, Error: ErrorTimeout, Outcome: Timeout}}
	tests := map[string]Delivery{
		"its record is gone":                                    {},
		"not tried yet":                                         {State: Pending},
		"will be tried again; last: error timeout":              {State: Retrying, Attempts: tried},
		"will be tried again; last: 503":                        {State: Retrying, Attempts: tried[:1]},
		"answered with 503":                                     {State: Delivered, Attempts: tried[:1]},
		"given up: expired":                                     {State: Dead, Reason: "expired", Attempts: tried},
		"given up after its last attempt: error timeout":        {State: Dead, Attempts: tried},
		"an interrupting target before it was given up":         {State: Skipped},
		"waits for the interrupting target before it":           {State: Pending, Waits: true, Held: HoldPaused},
		"held: the target is paused":                            {State: Pending, Held: HoldPaused},
		"held: too many attempts of the target failed":          {State: Retrying, Held: HoldFailing, Attempts: tried},
		"given up after its last attempt: no attempt":           {State: Dead},
		"held: the target answered 410 Gone":                    {State: Retrying, Held: HoldGone},
		"held: the target's own rate or concurrency is used up": {State: Retrying, Held: HoldLimited},
	}
	for want, d := range tests {
		if got := (Fate{Delivery: d}).Why(); got != want {
			t.Errorf("%+v: %q, want %q", d, got, want)
		}
	}
}

func TestExplanationWhy(t *testing.T) {
	live := []TargetID{"t"}
	x := Explanation{Created: noon, Execution: "event/a.*", Candidates: []Candidate{
		{ID: "event/a.b", Set: true, Targets: live, Changed: noon.Add(-1)}, {ID: "event/a.b.*", Set: true, Targets: live, Changed: noon.Add(1)},
		{ID: "event/a.c"}, {ID: "event/a.*"}, {ID: "event", Set: true, Targets: live},
	}}
	want := []string{"set, but not seen yet when the event came", "set after the event came", "not set", "taken; it is not set any more", "less specific than event/a.*"}
	for i := range want {
		if got := x.Why(i); got != want[i] {
			t.Errorf("candidate %d: %q, want %q", i, got, want[i])
		}
	}
	x.Candidates[3].Set = true
	if got := x.Why(3); got != "taken; none of its targets is left" {
		t.Errorf("got %q", got)
	}
	x.AddressedTo = "t"
	if got := x.Why(0); got != "not looked at: the event was sent to one target" {
		t.Errorf("got %q", got)
	}
}
