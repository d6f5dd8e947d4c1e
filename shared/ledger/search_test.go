package ledger_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/ledger"
)

// stored is a value as the database keeps it.
func stored(t *testing.T, v any) *firestorepb.Value {
	t.Helper()
	switch v := v.(type) {
	case string:
		return &firestorepb.Value{ValueType: &firestorepb.Value_StringValue{StringValue: v}}
	case int:
		return &firestorepb.Value{ValueType: &firestorepb.Value_IntegerValue{IntegerValue: int64(v)}}
	case time.Time:
		return &firestorepb.Value{ValueType: &firestorepb.Value_TimestampValue{TimestampValue: timestamppb.New(v)}}
	case []any:
		list := &firestorepb.ArrayValue{}
		for _, e := range v {
			list.Values = append(list.Values, stored(t, e))
		}
		return &firestorepb.Value{ValueType: &firestorepb.Value_ArrayValue{ArrayValue: list}}
	case map[string]any:
		m := &firestorepb.MapValue{Fields: map[string]*firestorepb.Value{}}
		for name, e := range v {
			m.Fields[name] = stored(t, e)
		}
		return &firestorepb.Value{ValueType: &firestorepb.Value_MapValue{MapValue: m}}
	default:
		t.Fatalf("no value is a %T", v)
		return nil
	}
}

// document is a delivery as it stands in the database.
func document(d action.Delivery) map[string]any {
	doc := map[string]any{"event": string(d.Event), "target": string(d.Target), "type": d.EventType, "state": string(d.State), "shard": d.Shard,
		"created": d.Created, "changed": d.Changed}
	if d.Held != "" {
		doc["held"] = string(d.Held)
	}
	if d.State.Final() {
		doc["expireAt"] = d.Expires
	} else {
		doc["lane"], doc["due"] = d.Lane, d.Due
	}
	return doc
}

// row is a delivery, and the id of its event, which the delivery does not know.
type row struct {
	action.Delivery
	event action.EventID
}

// populate makes deliveries of events that are often made in the same microsecond.
func populate(random *rand.Rand, n, shards int) (rows []row, documents map[string]map[string]any) {
	documents = map[string]map[string]any{}
	states := []action.State{action.Pending, action.Retrying, action.Delivered, action.Dead, action.Skipped}
	for i := 0; len(rows) < n; i++ {
		id := action.EventID(fmt.Sprintf("order-%d", i))
		key := action.KeyOfEvent("default", "shop", id)
		var targets []any
		created := now.Add(time.Duration(random.IntN(n/2)) * time.Microsecond)
		kind := []string{"order.created", "order.paid", "user.added"}[random.IntN(3)]
		for t := range 1 + random.IntN(3) {
			target := action.TargetID(fmt.Sprintf("t%d", t))
			d := action.Delivery{ID: action.DeliveryOf(key, target), Instance: "default", Event: key, Target: target, EventType: kind,
				State: states[random.IntN(len(states))], Shard: random.IntN(shards), Created: created, Changed: created}
			if d.State.Final() {
				d.Expires = now.Add(time.Hour)
				if random.IntN(20) == 0 {
					d.Expires = now.Add(-time.Second) // not removed yet
				}
			} else {
				d.Lane, d.Due = "s0", now
				if random.IntN(3) == 0 {
					d.Held, d.Lane = action.HoldPaused, ledger.TargetLane("default", target)
				}
			}
			rows = append(rows, row{d, id})
			targets = append(targets, string(target))
			documents["deliveries/"+string(d.ID)] = document(d)
		}
		documents["events/"+string(key)] = map[string]any{"id": string(id), "source": "shop", "type": kind, "targets": targets, "created": created,
			"expireAt": now.Add(24 * time.Hour)}
	}
	return rows, documents
}

// plain is what a search must find, without an index.
func plain(rows []row, f action.DeliveryFilter) (ids []action.DeliveryID) {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(string(b.ID), string(a.ID)))
	})
	isEvent := slices.ContainsFunc(rows, func(r row) bool { return string(r.event) == f.Text })
	for _, r := range rows {
		byText := f.Text == "" || string(r.event) == f.Text ||
			!isEvent && (strings.Contains(string(r.ID), strings.ToLower(f.Text)) || strings.Contains(string(r.Event), strings.ToLower(f.Text)))
		switch {
		case len(f.States) > 0 && !slices.Contains(f.States, r.State),
			f.Target != "" && r.Target != f.Target,
			f.EventType != "" && r.EventType != f.EventType,
			!f.From.IsZero() && r.Created.Before(f.From),
			!f.To.IsZero() && !r.Created.Before(f.To),
			f.Held != nil && *f.Held != (r.Held != ""),
			!byText,
			!r.Expires.IsZero() && !now.Before(r.Expires):
			continue
		}
		ids = append(ids, r.ID)
	}
	return ids
}

func randomFilter(random *rand.Rand, rows []row) (f action.DeliveryFilter) {
	some := rows[random.IntN(len(rows))]
	coin := func() bool { return random.IntN(3) == 0 }
	for _, s := range []action.State{action.Pending, action.Retrying, action.Delivered, action.Dead, action.Skipped} {
		if coin() {
			f.States = append(f.States, s)
		}
	}
	if coin() {
		f.Target = some.Target
	}
	if coin() {
		f.EventType = some.EventType
	}
	if coin() {
		f.From = some.Created
	}
	if coin() {
		f.To = some.Created.Add(time.Duration(random.IntN(200)) * time.Microsecond)
	}
	if coin() {
		f.Held = new(random.IntN(2) == 0)
	}
	if coin() {
		f.Text = []string{string(some.event), string(some.ID), string(some.Event), string(some.ID)[3:5], strings.ToUpper(string(some.Event)[7:9]), "ab1", "order-x"}[random.IntN(7)]
	}
	return f
}

// pages searches to the end and gives what was found, in order.
func pages(t *testing.T, d *database, s ledger.Search) (ids []action.DeliveryID) {
	t.Helper()
	for n := 0; ; n++ {
		found, err := d.Search(t.Context(), s)
		if err != nil {
			t.Fatalf("%+v: %v", s.Filter, err)
		}
		if len(found.Deliveries) > s.Limit || n > 1000 {
			t.Fatalf("%d deliveries on page %d, %d wanted", len(found.Deliveries), n, s.Limit)
		}
		for _, v := range found.Deliveries {
			ids = append(ids, v.ID)
		}
		if !found.More {
			return ids
		}
		s.After = found.Last
	}
}

// TestSearchFindsWhatAPlainFilterFinds pages through random filters, over one shard, a few, and more than one query can name.
func TestSearchFindsWhatAPlainFilterFinds(t *testing.T) {
	for _, shards := range []int{1, 3, 40} {
		t.Run(fmt.Sprintf("%d shards", shards), withDatabase(func(t *testing.T, d *database) {
			random := rand.New(rand.NewPCG(uint64(shards), 1))
			rows, documents := populate(random, 500, shards)
			d.put(t, documents)
			for range 20 {
				s := ledger.Search{Instance: "default", Filter: randomFilter(random, rows), Limit: []int{1, 7, 100, 1000}[1+random.IntN(3)], Shards: shards, Now: now}
				want := plain(rows, s.Filter)
				if len(want) < 20 && random.IntN(2) == 0 {
					s.Limit = 1
				}
				if diff := gocmp.Diff(want, pages(t, d, s)); diff != "" {
					t.Fatalf("%+v, pages of %d (-want +got):\n%s", s.Filter, s.Limit, diff)
				}
				if f := s.Filter; f.Indexed() {
					checkCount(t, d, rows, f, shards)
				}
			}
		}))
	}
}

// checkCount compares with the rows, what has expired included: it counts until it is removed.
func checkCount(t *testing.T, d *database, rows []row, f action.DeliveryFilter, shards int) {
	t.Helper()
	got, err := d.Count(t.Context(), "default", f, shards)
	if err != nil {
		t.Fatal(err)
	}
	want := map[action.State]int{}
	for _, s := range []action.State{action.Pending, action.Retrying, action.Delivered, action.Dead, action.Skipped} {
		if f.MatchesState(s) {
			want[s] = 0
		}
	}
	for _, r := range rows {
		if f.Matches(r.Delivery) {
			want[r.State]++
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Fatalf("count by %+v (-want +got):\n%s", f, diff)
	}
}

func TestSearchReadsSoMuchAtATime(t *testing.T) {
	withDatabase(func(t *testing.T, d *database) {
		rows, documents := populate(rand.New(rand.NewPCG(7, 7)), ledger.MaxRead+500, 3)
		d.put(t, documents)
		rare := slices.MinFunc(rows, func(a, b row) int { // the oldest
			return cmp.Or(a.Created.Compare(b.Created), strings.Compare(string(a.ID), string(b.ID)))
		})
		s := ledger.Search{Instance: "default", Filter: action.DeliveryFilter{Text: string(rare.ID)[:9]}, Limit: 10, Shards: 3, Now: now.Add(-time.Hour)}
		first, err := d.Search(t.Context(), s)
		if err != nil || len(first.Deliveries) != 0 || !first.More {
			t.Fatalf("an empty page that goes on is wanted, not %+v, %v", first, err)
		}
		if got := pages(t, d, s); len(got) != 1 || got[0] != rare.ID {
			t.Errorf("found %v, want %s", got, rare.ID)
		}
	})(t)
}

func TestSearchIsOfOneInstance(t *testing.T) {
	withDatabase(func(t *testing.T, d *database) {
		_, documents := populate(rand.New(rand.NewPCG(1, 2)), 20, 1)
		d.put(t, documents)
		for _, text := range []string{"", "order-1", strings.TrimPrefix(slices.Collect(keys(documents))[0], "deliveries/")} {
			found, err := d.Search(t.Context(), ledger.Search{Instance: "other", Filter: action.DeliveryFilter{Text: text}, Limit: 10, Shards: 1, Now: now})
			if err != nil || len(found.Deliveries) != 0 || found.More {
				t.Errorf("text %q: %+v, %v", text, found, err)
			}
		}
	})(t)
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if strings.HasPrefix(k, "deliveries/") && !yield(k) {
				return
			}
		}
	}
}

func TestSearchLeavesOutWhatItCannotRead(t *testing.T) {
	withDatabase(func(t *testing.T, d *database) {
		_, documents := populate(rand.New(rand.NewPCG(1, 2)), 3, 1)
		odd := string(action.DeliveryOf("e", "odd"))
		documents["deliveries/"+odd] = map[string]any{"state": "dead", "shard": 0, "created": now, "target": 7}
		d.put(t, documents)
		found, err := d.Search(t.Context(), ledger.Search{Instance: "default", Limit: 10, Shards: 1, Now: now.Add(-time.Hour)})
		if err != nil || len(found.Deliveries) < 3 {
			t.Errorf("%d found, %v", len(found.Deliveries), err)
		}
	})(t)
}

func TestSearchEndsWithItsCaller(t *testing.T) {
	withDatabase(func(t *testing.T, d *database) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := d.Search(ctx, ledger.Search{Instance: "default", Limit: 1, Shards: 1}); err == nil {
			t.Error("no error")
		}
		if _, err := d.Count(ctx, "default", action.DeliveryFilter{}, 1); err == nil {
			t.Error("no error of the count")
		}
	})(t)
}

func TestEventsByID(t *testing.T) {
	withDatabase(func(t *testing.T, d *database) {
		documents := map[string]map[string]any{}
		add := func(source string, expires time.Time) {
			key := action.KeyOfEvent("default", source, "e.1")
			documents["events/"+string(key)] = map[string]any{"id": "e.1", "source": source, "type": "a.b", "created": now, "expireAt": expires}
		}
		add("urn:b", now.Add(time.Hour))
		add("urn:a", now.Add(time.Hour))
		add("urn:old", now)
		d.put(t, documents)
		events, err := d.EventsByID(t.Context(), "default", "e.1", now)
		if err != nil || len(events) != 2 || events[0].Source != "urn:a" || events[1].Source != "urn:b" {
			t.Errorf("got %+v, %v", events, err)
		}
		if events, err = d.EventsByID(t.Context(), "other", "e.1", now); err != nil || len(events) != 0 {
			t.Errorf("of another instance: %+v, %v", events, err)
		}
	})(t)
}

func TestCountHeld(t *testing.T) {
	withDatabase(func(t *testing.T, d *database) {
		rows, documents := populate(rand.New(rand.NewPCG(3, 3)), 100, 2)
		d.put(t, documents)
		want := 0
		for _, r := range rows {
			if r.Held != "" && r.Target == "t1" {
				want++
			}
		}
		if got, err := d.CountHeld(t.Context(), "default", "t1"); err != nil || got != want || want == 0 {
			t.Errorf("%d are held, want %d; %v", got, want, err)
		}
	})(t)
}

func TestDeliveriesLeavesOutWhatIsNotThere(t *testing.T) {
	withDatabase(func(t *testing.T, d *database) {
		rows, documents := populate(rand.New(rand.NewPCG(4, 4)), 700, 1)
		d.put(t, documents)
		var ids []action.DeliveryID
		for _, r := range rows {
			ids = append(ids, r.ID, action.DeliveryOf(r.Event, "nobody"))
		}
		got, err := d.Deliveries(t.Context(), "default", ids)
		if err != nil || len(got) != len(rows) {
			t.Errorf("%d of %d, %v", len(got), len(rows), err)
		}
	})(t)
}
