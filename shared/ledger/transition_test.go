package ledger_test

import (
	"math/rand/v2"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/ledger"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// exact is a jitter that moves nothing.
func exact(d time.Duration) time.Duration { return d }

func rules(waits ...time.Duration) ledger.Rules {
	return ledger.Rules{Schedule: waits, Retention: 30 * 24 * time.Hour, Shards: 1, Jitter: exact}
}

func event() ledger.Event {
	return ledger.Event{Instance: "default", Source: "urn:shop", ID: "e1", Type: "order.created", Targets: []action.TargetID{"t1", "t2"}}
}

// start is a delivery to t1 that nothing holds.
func start(r ledger.Rules, e ledger.Event) action.Delivery {
	return r.Plan(e, []ledger.Recipient{{Target: "t1"}}, now)[0]
}

func attempt(status int, outcome action.Outcome) action.Attempt {
	return action.Attempt{Start: now, Took: time.Second, Status: status, Outcome: outcome}
}

func TestAfter(t *testing.T) {
	const s, m = time.Second, time.Minute
	ok, fail, gone := attempt(204, action.Success), attempt(500, action.Failed), attempt(http.StatusGone, action.Failed)
	type step struct {
		attempt    action.Attempt
		retryAfter time.Duration
		state      action.State
		wait       time.Duration
	}
	tests := []struct {
		name     string
		schedule []time.Duration
		steps    []step
	}{
		{"at once", []time.Duration{s}, []step{{ok, 0, action.Delivered, 0}}},
		{"with the second", []time.Duration{s, m}, []step{{fail, 0, action.Retrying, s}, {ok, 0, action.Delivered, 0}}},
		{"never", []time.Duration{s, m}, []step{{fail, 0, action.Retrying, s}, {fail, 0, action.Retrying, m}, {fail, 0, action.Dead, 0}}},
		{"without a schedule", nil, []step{{fail, 0, action.Dead, 0}}},
		{"a time-out counts", []time.Duration{s}, []step{{attempt(0, action.Timeout), 0, action.Retrying, s}, {attempt(0, action.Timeout), 0, action.Dead, 0}}},
		{"asked to wait longer", []time.Duration{s}, []step{{fail, time.Hour, action.Retrying, time.Hour}}},
		{"asked to wait less", []time.Duration{m}, []step{{fail, s, action.Retrying, m}}},
		{"asked to wait with the last", []time.Duration{s}, []step{{fail, 0, action.Retrying, s}, {fail, time.Hour, action.Dead, 0}}},
		{"410 ends it", []time.Duration{s, m}, []step{{gone, 0, action.Dead, 0}}},
		{"410 later ends it", []time.Duration{s, m}, []step{{fail, 0, action.Retrying, s}, {gone, time.Hour, action.Dead, 0}}},
		{"a late attempt changes nothing that is delivered", []time.Duration{s}, []step{{ok, 0, action.Delivered, 0}, {fail, 0, action.Delivered, -1}}},
		{"a late success changes nothing that is dead", []time.Duration{}, []step{{fail, 0, action.Dead, 0}, {ok, 0, action.Dead, -1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, at := rules(tt.schedule...), now
			d := start(r, event())
			for i, step := range tt.steps {
				at = at.Add(time.Minute)
				before := d
				d = r.After(d, ledger.Report{Attempt: step.attempt, RetryAfter: step.retryAfter}, at)
				invariantA(t, d)
				if step.wait < 0 {
					if diff := cmp.Diff(before, d); diff != "" {
						t.Errorf("step %d changed a final delivery:\n%s", i, diff)
					}
					continue
				}
				if d.State != step.state || d.Tried() != i+1 || !d.Changed.Equal(at) {
					t.Errorf("step %d: %s after %d attempts, changed %v", i, d.State, d.Tried(), d.Changed)
				}
				if !d.State.Final() && !d.Due.Equal(at.Add(step.wait)) {
					t.Errorf("step %d: due in %v, want %v", i, d.Due.Sub(at), step.wait)
				}
				if d.State.Final() && !d.Expires.Equal(at.Add(r.Retention)) {
					t.Errorf("step %d: expires %v", i, d.Expires)
				}
			}
		})
	}
}

// invariantA is that of the package: unfinished <=> lane and due; final <=> neither, and expireAt.
func invariantA(t *testing.T, d action.Delivery) {
	t.Helper()
	if final := d.State.Final(); (d.Lane == "") != final || d.Due.IsZero() != final || d.Expires.IsZero() == final {
		t.Errorf("invariant A: %s with lane %q, due %v, expires %v", d.State, d.Lane, d.Due, d.Expires)
	}
}

// TestRandomHistories: whatever happens in whatever order, a delivery ends once, stays so, remembers its last attempts by their numbers,
// and shares nothing with what it was before.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		waits := make([]time.Duration, random.IntN(40))
		for i := range waits {
			waits[i] = time.Duration(1 + random.Int64N(int64(time.Hour)))
		}
		r := ledger.Rules{Schedule: waits, Retention: 30 * 24 * time.Hour, Shards: 1 + random.IntN(5), Jitter: ledger.Jitter}
		d, at := start(r, event()), now
		for range 50 {
			at = at.Add(time.Minute)
			before, last := d, len(d.Attempts)
			switch random.IntN(20) {
			case 0:
				d = r.After(d, ledger.Report{Attempt: attempt(200, action.Success)}, at)
			case 1:
				d = r.Kill(d, "removed", at)
			case 2:
				d = r.After(d, ledger.Report{Attempt: attempt(http.StatusGone, action.Failed)}, at)
			default:
				d = r.After(d, ledger.Report{Attempt: attempt(500, action.Failed), RetryAfter: time.Duration(random.Int64N(int64(time.Hour)))}, at)
			}
			invariantA(t, d)
			if before.State.Final() && !reflect.DeepEqual(before, d) {
				t.Fatalf("seed %d: final, and changed:\n%s", seed, cmp.Diff(before, d))
			}
			if len(before.Attempts) != last || len(d.Attempts) > action.MaxAttempts {
				t.Fatalf("seed %d: %d attempts, %d before", seed, len(d.Attempts), len(before.Attempts))
			}
			for i, a := range d.Attempts {
				if a.Number != d.Tried()-len(d.Attempts)+1+i {
					t.Fatalf("seed %d: attempt %d has the number %d of %d", seed, i, a.Number, d.Tried())
				}
			}
			if !d.State.Final() && d.Due.Before(at) {
				t.Fatalf("seed %d: due in the past", seed)
			}
		}
	}
}

func TestAfterDoesNotShareAttempts(t *testing.T) {
	r := rules(time.Second, time.Second)
	first := r.After(start(r, event()), ledger.Report{Attempt: attempt(500, action.Failed)}, now)
	one := r.After(first, ledger.Report{Attempt: attempt(501, action.Failed)}, now)
	other := r.After(first, ledger.Report{Attempt: attempt(502, action.Failed)}, now)
	if one.Attempts[1].Status != 501 || other.Attempts[1].Status != 502 {
		t.Errorf("two histories of one delivery overwrite each other: %d, %d", one.Attempts[1].Status, other.Attempts[1].Status)
	}
}

func TestKill(t *testing.T) {
	r := rules(time.Second)
	d := r.Kill(r.After(start(r, event()), ledger.Report{Attempt: attempt(500, action.Failed)}, now), ledger.ReasonRemoved, now.Add(time.Hour))
	invariantA(t, d)
	if d.State != action.Dead || d.Reason != ledger.ReasonRemoved || d.Tried() != 1 {
		t.Errorf("got %+v", d)
	}
}

func TestHoldAndClaimAndFree(t *testing.T) {
	r, later := rules(time.Second), now.Add(time.Minute)
	d := r.After(start(r, event()), ledger.Report{Attempt: attempt(500, action.Failed)}, now.Add(time.Second))
	held := ledger.Hold(d, action.HoldFailing)
	invariantA(t, held)
	if held.Lane != "tdefault/t1" || !held.Due.Equal(d.Created) || held.Held != action.HoldFailing || held.State != action.Retrying {
		t.Errorf("held: %+v", held)
	}
	claimed := ledger.Claim(held, later)
	if claimed.Lane != held.Lane || !claimed.Due.Equal(later.Add(ledger.ClaimTime)) {
		t.Errorf("claimed: %+v", claimed)
	}
	hurried := ledger.Hurry(d, action.HoldFailing)
	invariantA(t, hurried)
	if once := r.After(hurried, ledger.Report{Attempt: attempt(500, action.Failed)}, later); once.State != action.Retrying || !once.Due.Equal(later.Add(time.Second)) || once.Tried() != 2 {
		t.Errorf("an early attempt used up the schedule: %+v", once)
	}
	if again := r.After(claimed, ledger.Report{Attempt: attempt(500, action.Failed), Schedule: ledger.Schedule{1, time.Minute}}, later); again.Lane != "s0" || again.Held != "" ||
		!again.Due.Equal(later.Add(time.Minute)) {
		t.Errorf("with the target's own schedule: %+v", again)
	}
	chain := r.Plan(event(), []ledger.Recipient{{Target: "t1", Interrupts: true}, {Target: "t2"}}, now)
	free := ledger.Free(chain[1], "", later)
	invariantA(t, free)
	if free.Waits || free.Lane != "s0" || !free.Due.Equal(later.Add(time.Hour)) || free.Follows != chain[0].ID {
		t.Errorf("freed: %+v", free)
	}
	if stays := ledger.Free(free, action.HoldSlow, later); !reflect.DeepEqual(free, stays) {
		t.Errorf("freed twice: %+v", stays)
	}
	if held := ledger.Free(chain[1], action.HoldSlow, later); held.Lane != "tdefault/t2" || held.Waits {
		t.Errorf("freed and held: %+v", held)
	}
	skipped := r.Skip(chain[1], later)
	invariantA(t, skipped)
	if skipped.State != action.Skipped || skipped.Waits {
		t.Errorf("skipped: %+v", skipped)
	}
}

// TestAgain: what is put back begins its schedule anew, keeps what was tried, and can be given up again.
func TestAgain(t *testing.T) {
	r := rules(time.Second)
	fail := ledger.Report{Attempt: attempt(500, action.Failed)}
	dead := r.After(r.After(start(r, event()), fail, now), fail, now)
	later := now.Add(time.Hour)
	back := ledger.Again(dead, false, later)
	invariantA(t, back)
	if back.State != action.Pending || back.Reason != "" || back.Tried() != 2 || back.Before != 2 || !back.Due.Equal(later.Add(ledger.ClaimTime)) {
		t.Errorf("put back: %+v", back)
	}
	if once := r.After(back, fail, later); once.State != action.Retrying || !once.Due.Equal(later.Add(time.Second)) || once.Tried() != 3 {
		t.Errorf("after one more: %+v", once)
	}
	if twice := r.After(r.After(back, fail, later), fail, later); twice.State != action.Dead {
		t.Errorf("after two more: %+v", twice)
	}
	if waiting := ledger.Again(r.Skip(start(r, event()), now), true, later); waiting.State != action.Pending || !waiting.Waits || !waiting.Due.Equal(later.Add(time.Hour)) {
		t.Errorf("put back behind another: %+v", waiting)
	}
	hurried := ledger.Again(r.After(start(r, event()), fail, now), false, later)
	if hurried.State != action.Retrying || hurried.Before != 0 || hurried.Tried() != 1 {
		t.Errorf("hurried: %+v", hurried)
	}
}

// TestNothingIsDueAfterItsEnd: however long a target asks to be left alone, the delivery comes up when it is to be given up.
func TestNothingIsDueAfterItsEnd(t *testing.T) {
	r := rules(time.Second)
	r.Retention = 8 * 24 * time.Hour
	at := now.Add(7*24*time.Hour - time.Hour)
	d := r.After(start(r, event()), ledger.Report{Attempt: attempt(503, action.Failed), RetryAfter: 24 * time.Hour}, at)
	if !d.Due.Equal(now.Add(7 * 24 * time.Hour)) {
		t.Errorf("due %v after the event", d.Due.Sub(now))
	}
}
