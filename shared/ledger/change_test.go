package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
)

// TestOnChange: whoever keeps copies of valves hears of each change, also where it is not known, or not said, what became of it.
func TestOnChange(t *testing.T) {
	told := []action.Change{{Instance: "default", Kind: action.ChangeValve, ID: "t1"}}
	pause := func(d *database, t *testing.T, seen ledger.ValveVersion) error {
		return d.SaveValve(t.Context(), seen, ledger.Paused(seen.Valve, action.HoldPaused, time.Now()), time.Now())
	}
	remove := func(d *database, t *testing.T, seen ledger.ValveVersion) error {
		return d.RemoveValve(t.Context(), seen, time.Now())
	}
	rate := func(d *database, t *testing.T, seen ledger.ValveVersion) error {
		next := seen.Valve
		next.Rate = 7
		return d.SaveValve(t.Context(), seen, next, time.Now())
	}
	forgetful := func(code codes.Code) func(func() error) error {
		tries := 0
		return func(invoke func() error) error {
			if tries++; tries > 1 {
				return invoke()
			}
			if err := invoke(); err != nil {
				return err
			}
			return status.Error(code, "the answer was lost")
		}
	}
	away := func(func() error) error { return status.Error(codes.DeadlineExceeded, "nobody answers") }
	tests := []struct {
		name   string
		change func(*database, *testing.T, ledger.ValveVersion) error
		commit func(func() error) error
		stale  bool // the valve has changed since it was seen
		err    errs.Kind
		want   []action.Change
	}{
		{"saved", pause, nil, false, "", told},
		{"saved, but reported failed", pause, forgetful(codes.DeadlineExceeded), false, errs.Unavailable, told},
		{"saved, and refused when the client tried again", pause, forgetful(codes.Unavailable), false, errs.FailedPrecondition, told},
		{"not saved", pause, away, false, errs.Unavailable, told},
		{"refused", pause, nil, true, errs.FailedPrecondition, told},
		{"removed", remove, nil, false, "", told},
		{"removed, but reported failed", remove, forgetful(codes.DeadlineExceeded), false, errs.Unavailable, told},
		{"removal refused", remove, nil, true, errs.FailedPrecondition, told},
		{"saved, and nothing that others care about is different", rate, nil, false, "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, withDatabase(func(t *testing.T, d *database) {
			valve := ledger.Draining(action.Valve{Instance: "default", Target: "t1"}, action.HoldSlow, action.Limits{}, time.Now())
			if _, err := d.AddValve(t.Context(), valve, time.Now()); err != nil {
				t.Fatal(err)
			}
			seen, err := d.Valve(t.Context(), "default", "t1")
			if err != nil {
				t.Fatal(err)
			}
			if tt.stale {
				if err := d.StampValve(t.Context(), valve, true, false, time.Now().Add(time.Second)); err != nil {
					t.Fatal(err)
				}
			}
			var got []action.Change
			d.OnChange = func(changes ...action.Change) { got = append(got, changes...) }
			d.commit = tt.commit
			if err := tt.change(d, t, seen); (err == nil) != (tt.err == "") || err != nil && !errs.Is(err, tt.err) {
				t.Errorf("error %v, want kind %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		}))
	}
}
