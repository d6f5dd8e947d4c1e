package action

import (
	"slices"
	"strings"
	"time"

	"github.com/callout-dev/callout/shared/errs"
)

// TestEvent names an event that was made for one target, and its delivery.
type TestEvent struct {
	Event    EventID
	Source   string
	Delivery DeliveryID
}

// TestEventType is the type of events that are made to test a target.
const TestEventType = "callout.test"

// TargetDelivery is how events are delivered to one target.
type TargetDelivery struct {
	Settings DeliverySettings
	// Schedule is what holds: the target's own, or the installation's.
	Schedule []time.Duration
	// Valve is the zero value for a target in good standing.
	Valve Valve
	// Held is how many deliveries wait.
	Held int
}

// Paused says whether the target was paused by hand, or by its answer 410.
func (t TargetDelivery) Paused() bool { return t.Valve.State == ValvePaused }

// DeliveryChange is a partial update of a target's rules: what is nil stays as it is.
type DeliveryChange struct {
	// Schedule: an empty one makes the installation's hold.
	Schedule          *[]time.Duration
	Rate, Concurrency *int
	Paused            *bool
}

// Bounds of a target's own rules (callout.md section 7).
const (
	MaxWaits       = 24
	MinWait        = time.Second
	MaxWait        = 7 * 24 * time.Hour
	MaxRate        = 10_000
	MaxConcurrency = 1_000
)

// Validate checks a change, but for what depends on how long events are kept.
func (c DeliveryChange) Validate() error {
	if c.Schedule != nil {
		if len(*c.Schedule) > MaxWaits {
			return errs.Newf(errs.InvalidArgument, "schedule: there may be %d waits at most", MaxWaits)
		}
		for i, wait := range *c.Schedule {
			if wait < MinWait || wait > MaxWait {
				return errs.Newf(errs.InvalidArgument, "schedule[%d] must be 1s to 168h", i)
			}
		}
	}
	switch {
	case c.Rate != nil && (*c.Rate < 0 || *c.Rate > MaxRate):
		return errs.Newf(errs.InvalidArgument, "ratePerSecond must be 0 to %d; 0 means no limit", MaxRate)
	case c.Concurrency != nil && (*c.Concurrency < 0 || *c.Concurrency > MaxConcurrency):
		return errs.Newf(errs.InvalidArgument, "concurrency must be 0 to %d; 0 means no limit", MaxConcurrency)
	}
	return nil
}

// Apply makes the changed settings; differs says whether anything but the pause changed.
func (c DeliveryChange) Apply(s DeliverySettings) (changed DeliverySettings, differs bool) {
	changed = s
	if c.Schedule != nil {
		changed.Schedule = *c.Schedule
	}
	if c.Rate != nil {
		changed.Limits.Rate = *c.Rate
	}
	if c.Concurrency != nil {
		changed.Limits.Concurrency = *c.Concurrency
	}
	return changed, changed.Limits != s.Limits || !slices.Equal(changed.Schedule, s.Schedule)
}

// WaitText writes a duration as people do: 2m, not 2m0s.
func WaitText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
