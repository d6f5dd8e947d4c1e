package ledger

import (
	"fmt"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/shared/action"
)

func encodeValve(v action.Valve) map[string]*firestorepb.Value {
	f := newFields()
	f.setText("state", string(v.State))
	f.setText("reason", string(v.Reason))
	f.setTime("since", v.Since)
	f.setInt("rate", int64(v.Rate))
	f.setInt("waitMillis", v.Wait.Milliseconds())
	f.setTime("next", v.Next)
	f.setTime("judged", v.Judged)
	f.setTime("idle", v.Idle)
	f.setTime("lastGood", v.LastGood)
	f.setTime("lastBad", v.LastBad)
	return f.values
}

// valveMask is all fields of a valve. Saving one leaves alone any other: what a newer version put there.
var valveMask = &firestorepb.DocumentMask{FieldPaths: []string{"state", "reason", "since", "rate", "waitMillis", "next", "judged", "idle", "lastGood", "lastBad"}}

func decodeValve(doc *firestorepb.Document) (action.Valve, error) {
	f := &fields{values: doc.GetFields()}
	v := action.Valve{
		Instance: instanceOf(doc.GetName()), Target: action.TargetID(lastSegment(doc.GetName())),
		State: action.ValveState(f.text("state")), Reason: action.Hold(f.text("reason")), Since: f.time("since"), Rate: int(f.int("rate")),
		Wait: time.Duration(f.int("waitMillis")) * time.Millisecond, Next: f.time("next"), Judged: f.time("judged"), Idle: f.time("idle"),
		LastGood: f.time("lastGood"), LastBad: f.time("lastBad"),
	}
	if f.err != nil {
		return action.Valve{}, fmt.Errorf("valve document %s: %w", doc.GetName(), f.err)
	}
	return v, nil
}
