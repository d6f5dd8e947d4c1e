// Package deliveries is the function behind the delivery log: it lists deliveries, tries them again, explains what became of events,
// and keeps the rules of delivery of each target.
package deliveries

import (
	"context"
	"log/slog"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/queue"
)

// Log is what is read of the ledger.
type Log interface {
	Search(ctx context.Context, s ledger.Search) (ledger.Found, error)
	Count(ctx context.Context, instance action.InstanceID, f action.DeliveryFilter, shards int) (map[action.State]int, error)
	CountHeld(ctx context.Context, instance action.InstanceID, target action.TargetID) (int, error)
	Event(ctx context.Context, instance action.InstanceID, key action.EventKey, now time.Time) (ledger.Event, error)
	EventsByID(ctx context.Context, instance action.InstanceID, id action.EventID, now time.Time) ([]ledger.Event, error)
	Delivery(ctx context.Context, instance action.InstanceID, id action.DeliveryID) (ledger.Version, error)
	Deliveries(ctx context.Context, instance action.InstanceID, ids []action.DeliveryID) ([]ledger.Version, error)
}

// Changer changes deliveries and events. It publishes nothing.
type Changer interface {
	// Redeliver puts one delivery back. FailedPrecondition says why it cannot be.
	Redeliver(ctx context.Context, instance action.InstanceID, id action.DeliveryID, now time.Time) (action.Delivery, error)
	// RedeliverAll puts dead ones into their targets' lanes, where a valve releases them.
	RedeliverAll(ctx context.Context, dead []ledger.Version, now time.Time) (moved int, err error)
	// DeleteEvent removes payload and answers.
	DeleteEvent(ctx context.Context, instance action.InstanceID, key action.EventKey, now time.Time) error
}

// Valves holds what stands between us and targets in trouble.
type Valves interface {
	Valves(ctx context.Context, instance action.InstanceID, ids []action.TargetID) ([]action.Valve, error)
	Pause(ctx context.Context, instance action.InstanceID, target action.TargetID, reason action.Hold, now time.Time) error
	Resume(ctx context.Context, instance action.InstanceID, target action.TargetID, now time.Time) error
}

// Configuration is what is read of targets and executions, and the one thing that is written.
type Configuration interface {
	DescribeTarget(ctx context.Context, instance action.InstanceID, id action.TargetID) (action.Target, error)
	DescribeTargets(ctx context.Context, instance action.InstanceID, ids []action.TargetID) (map[action.TargetID]action.Target, error)
	Candidates(ctx context.Context, instance action.InstanceID, ids []action.ExecutionID) ([]action.Candidate, error)
	SetDelivery(ctx context.Context, instance action.InstanceID, id action.TargetID, s action.DeliverySettings) error
}

// Publisher is the queue.
type Publisher interface {
	Publish(ctx context.Context, topic queue.Topic, messages ...queue.Message) error
	Wake(ctx context.Context) error
}

// Rules is what the installation says of deliveries.
type Rules struct {
	Schedule      ledger.Schedule
	Retention     time.Duration
	KeepUnmatched time.Duration
	Shards        int
}

// Operations are those of api.Deliveries.
type Operations struct {
	Log           Log
	Changer       Changer
	Valves        Valves
	Configuration Configuration
	Queue         Publisher
	Rules         Rules
	Logger        *slog.Logger
}

// wake asks for a sweep now. The scheduler would ask within a minute anyway, so a failure is no reason to refuse what is already done.
func (o *Operations) wake(ctx context.Context) {
	if err := o.Queue.Wake(ctx); err != nil {
		o.Logger.WarnContext(ctx, "sweeper not woken", "error", err)
	}
}
