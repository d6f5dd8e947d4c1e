package action

import (
	"strings"
	"time"

	"github.com/callout-dev/callout/shared/errs"
)

// Sizes of a page of deliveries.
const (
	DefaultDeliveries = 100
	MaxDeliveries     = 1000
)

// DeliveryFilter says which deliveries are wanted: all that it says must hold. The zero value means every one.
type DeliveryFilter struct {
	// States: one of these; empty means any.
	States    []State
	Target    TargetID
	EventType string
	// From and To bound when the delivery was made: From is in, To is not. Zero means no bound.
	From, To time.Time
	// Held: whether it waits because of its target; nil means either.
	Held *bool
	// Text is a whole event id, or a part of a delivery's id or of an event's key.
	Text string
}

// Validate checks a filter as it came in. The error names the field as callers know it.
func (f DeliveryFilter) Validate() error {
	for _, s := range f.States {
		if !s.Known() {
			return errs.Newf(errs.InvalidArgument, "filter.states: %q is none of pending, retrying, delivered, dead, skipped", s)
		}
	}
	switch {
	case f.Target != "" && !f.Target.Valid():
		return errs.Newf(errs.InvalidArgument, "filter.target must be 1 to 200 letters, digits, _ and -")
	case f.EventType != "" && !ValidEventType(f.EventType):
		return errs.Newf(errs.InvalidArgument, "filter.eventType is no event type")
	case len(f.Text) > MaxEventID:
		return errs.Newf(errs.InvalidArgument, "filter.text is longer than %d bytes", MaxEventID)
	case !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To):
		return errs.Newf(errs.InvalidArgument, "filter.createdFrom must be before filter.createdTo")
	}
	return nil
}

// Matches says whether a delivery is wanted. Of the text it knows the part that is in the delivery: an event's id is not.
func (f DeliveryFilter) Matches(d Delivery) bool {
	return f.MatchesState(d.State) &&
		(f.Target == "" || d.Target == f.Target) &&
		(f.EventType == "" || d.EventType == f.EventType) &&
		(f.From.IsZero() || !d.Created.Before(f.From)) &&
		(f.To.IsZero() || d.Created.Before(f.To)) &&
		(f.Held == nil || *f.Held == (d.Held != "")) &&
		(f.Text == "" || contains(string(d.ID), f.Text) || contains(string(d.Event), f.Text))
}

// MatchesState says whether deliveries in a state are wanted.
func (f DeliveryFilter) MatchesState(s State) bool {
	if len(f.States) == 0 {
		return true
	}
	for _, wanted := range f.States {
		if s == wanted {
			return true
		}
	}
	return false
}

// Indexed says whether indexes answer for all of the filter, so that deliveries can be counted without being read.
func (f DeliveryFilter) Indexed() bool { return f.EventType == "" && f.Held == nil && f.Text == "" }

// contains: keys are in lower case, and people copy them in any.
func contains(key, text string) bool { return strings.Contains(key, strings.ToLower(text)) }

// DeliveryQuery asks for a page of deliveries, the newest first.
type DeliveryQuery struct {
	Filter DeliveryFilter
	// Size is 1 to MaxDeliveries.
	Size int
	// Token is where the page before ended; "" for the first page.
	Token string
	// Counts asks for the number of deliveries in each state.
	Counts bool
}

// DeliveryView is a delivery with what it is called.
type DeliveryView struct {
	Delivery
	// EventID and Source are empty where the event was not read, or is not on record any more.
	EventID EventID
	Source  string
	// Payload is the JSON that the target receives; empty as those two are, and where it was deleted.
	Payload []byte
	// TargetName is empty where the target is gone.
	TargetName string
}

// DeliveryPage is what was found. Token is empty on the last page; Counts is nil where it was not asked for.
type DeliveryPage struct {
	Deliveries []DeliveryView
	Token      string
	Counts     map[State]int
}

// Redelivery says what one call for many deliveries did: of the Matched it put Moved back, the others were not dead any more.
type Redelivery struct {
	Matched, Moved int
	// Token is where to go on; "" when there is no more.
	Token string
}
