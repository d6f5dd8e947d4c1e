package action

import (
	"fmt"
	"time"
)

// Explanation says what became of one event, and why.
type Explanation struct {
	Instance         InstanceID
	Source           string
	ID               EventID
	Type             string
	Created, Expires time.Time
	// Execution is the one that was taken when the event came, "" for none; AddressedTo is set where it was sent to one target.
	Execution      ExecutionID
	AddressedTo    TargetID
	PayloadDeleted bool
	Candidates     []Candidate
	Targets        []Fate
}

// Key names the event's document.
func (e Explanation) Key() EventKey { return KeyOfEvent(e.Instance, e.Source, e.ID) }

// Candidate is an execution that an event can match, as it is now.
type Candidate struct {
	ID ExecutionID
	// Set says that it has a list of targets; Targets are those of it that exist.
	Set     bool
	Targets []TargetID
	// Changed is when its list was last set; zero where it is not.
	Changed time.Time
}

// Live says whether the candidate calls anybody.
func (c Candidate) Live() bool { return c.Set && len(c.Targets) > 0 }

// Fate is what became of an event at one target.
type Fate struct {
	Target TargetID
	// Name is empty where the target is gone.
	Name   string
	Exists bool
	// Delivery has no state where its record is gone.
	Delivery Delivery
}

// Taken says whether the candidate of that index is the execution that was taken.
func (e Explanation) Taken(i int) bool { return e.Execution != "" && e.Candidates[i].ID == e.Execution }

// Why says in words why the candidate of that index was taken or not. What an execution was when the event came is not on record, but for
// the one that was taken: where it is different now, the words say so.
func (e Explanation) Why(i int) string {
	c := e.Candidates[i]
	switch taken := e.takenAt(); {
	case e.AddressedTo != "":
		return "not looked at: the event was sent to one target"
	case e.Taken(i) && !c.Set:
		return "taken; it is not set any more"
	case e.Taken(i) && !c.Live():
		return "taken; none of its targets is left"
	case e.Taken(i):
		return "taken"
	case taken >= 0 && i > taken:
		return "less specific than " + string(e.Execution)
	case !c.Set:
		return "not set"
	case !c.Live():
		return "none of its targets is left"
	case c.Changed.After(e.Created):
		return "set after the event came"
	default:
		return "set, but not seen yet when the event came"
	}
}

func (e Explanation) takenAt() int {
	for i := range e.Candidates {
		if e.Taken(i) {
			return i
		}
	}
	return -1
}

// Summary says in one sentence what became of the event.
func (e Explanation) Summary() string {
	switch {
	case e.AddressedTo != "":
		return "sent to one target, past all executions" + e.tally()
	case e.Execution == "":
		return "matched no execution: nobody was called"
	default:
		return "matched " + string(e.Execution) + e.tally()
	}
}

// tally counts the targets by state, in the order of the states.
func (e Explanation) tally() string {
	counts := map[State]int{}
	for _, t := range e.Targets {
		counts[t.Delivery.State]++
	}
	text := ""
	for _, s := range []State{Pending, Retrying, Delivered, Dead, Skipped} {
		if counts[s] == 0 {
			continue
		}
		if text += ", "; text == ", " {
			text = ": "
		}
		text += fmt.Sprintf("%d %s", counts[s], s)
	}
	if counts[""] > 0 {
		text += fmt.Sprintf(" (%d not on record any more)", counts[""])
	}
	return text
}

// Why says in words how it stands with a target.
func (f Fate) Why() string {
	d := f.Delivery
	switch {
	case d.State == "":
		return "its record is gone"
	case d.State == Delivered:
		return "answered with " + lastAnswer(d)
	case d.State == Skipped:
		return "an interrupting target before it was given up"
	case d.State == Dead && d.Reason != "":
		return "given up: " + d.Reason
	case d.State == Dead:
		return "given up after its last attempt: " + lastAnswer(d)
	case d.Waits:
		return "waits for the interrupting target before it"
	case d.Held != "":
		return "held: " + holdTexts[d.Held]
	case d.State == Retrying:
		return "will be tried again; last: " + lastAnswer(d)
	default:
		return "not tried yet"
	}
}

var holdTexts = map[Hold]string{
	HoldFailing:    "too many attempts of the target failed",
	HoldSlow:       "too many attempts of the target are under way or stuck",
	HoldGone:       "the target answered 410 Gone",
	HoldPaused:     "the target is paused",
	HoldLimited:    "the target's own rate or concurrency is used up",
	HoldRedelivery: "many deliveries were put back, and are released one after the other",
	HoldRemoved:    "the target is gone",
}

// lastAnswer words how the last attempt ended.
func lastAnswer(d Delivery) string {
	if len(d.Attempts) == 0 {
		return "no attempt"
	}
	switch a := d.Attempts[len(d.Attempts)-1]; {
	case a.Status != 0:
		return fmt.Sprintf("%d", a.Status)
	case a.Error != "":
		return "error " + string(a.Error)
	default:
		return string(a.Outcome)
	}
}
