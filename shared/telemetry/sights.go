package telemetry

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/callout-dev/callout/shared/action"
)

// sightTime is how long what a sweeper saw is told: it looks each minute, and another process may sweep from then on.
const sightTime = 3 * time.Minute

// sights is what a sweeper last saw.
type sights struct {
	mu     sync.Mutex
	retry  age
	target age
	valves map[action.ValveState]int // seen with target
}

// age is how old the oldest of something was, at a time.
type age struct {
	oldest time.Duration
	at     time.Time
}

// recent says whether it may still be told, by the wall clock: the other one may have stood still.
func (a age) recent(now time.Time) bool {
	return !a.at.IsZero() && now.Round(0).Sub(a.at.Round(0)) < sightTime
}

// SawRetries notes how long the oldest of the deliveries has been due that wait for their next attempt, 0 if none is.
func (m *Metrics) SawRetries(oldest time.Duration) {
	if m == nil {
		return
	}
	m.sights.mu.Lock()
	defer m.sights.mu.Unlock()
	m.sights.retry = age{max(oldest, 0), time.Now()}
}

// SawTargets notes how long the oldest of the deliveries has been held that wait for their targets, 0 if none is, and how many such targets
// there are by the state of their valves.
func (m *Metrics) SawTargets(oldest time.Duration, valves map[action.ValveState]int) {
	if m == nil {
		return
	}
	m.sights.mu.Lock()
	defer m.sights.mu.Unlock()
	m.sights.target, m.sights.valves = age{max(oldest, 0), time.Now()}, valves
}

// watchSights makes the gauges of what a sweeper saw.
func (m *Metrics) watchSights() error {
	ages, err := m.meter.Float64ObservableGauge(QueueAge, metric.WithUnit("s"),
		metric.WithDescription("How long the oldest delivery has been due."))
	valves, valvesErr := m.meter.Int64ObservableGauge(Valves, metric.WithUnit("{target}"),
		metric.WithDescription("Targets for which something is held."))
	if err := errors.Join(err, valvesErr); err != nil {
		return err
	}
	_, err = m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		m.sights.mu.Lock()
		defer m.sights.mu.Unlock()
		s, now := &m.sights, time.Now()
		if s.retry.recent(now) {
			o.ObserveFloat64(ages, s.retry.oldest.Seconds(), metric.WithAttributes(attribute.String(Lane, LaneRetry)))
		}
		if !s.target.recent(now) {
			return nil
		}
		o.ObserveFloat64(ages, s.target.oldest.Seconds(), metric.WithAttributes(attribute.String(Lane, LaneTarget)))
		for _, state := range []action.ValveState{action.ValveOpen, action.ValveDraining, action.ValvePaused, action.ValveRemoved} {
			o.ObserveInt64(valves, int64(s.valves[state]), metric.WithAttributes(attribute.String(ValveState, string(state))))
		}
		return nil
	}, ages, valves)
	return err
}

// Routes is how the routes of a process stand.
type Routes struct {
	// Known says that they were ever looked at, Age how long ago.
	Known bool
	Age   time.Duration
	// Stale counts the answers from what was too old.
	Stale uint64
}

// WatchRoutes makes the instruments of routes; now tells how they stand, and is asked whenever somebody wants to know.
func (m *Metrics) WatchRoutes(now func() Routes) error {
	age, err := m.meter.Float64ObservableGauge(RoutesAge, metric.WithUnit("s"),
		metric.WithDescription("How long ago changes of routes were last learnt."))
	stale, staleErr := m.meter.Int64ObservableCounter(RoutesStale, metric.WithUnit("{answer}"),
		metric.WithDescription("Answers from routes that were too old."))
	if err := errors.Join(err, staleErr); err != nil {
		return err
	}
	_, err = m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		r := now()
		if r.Known {
			o.ObserveFloat64(age, r.Age.Seconds())
		}
		o.ObserveInt64(stale, int64(r.Stale))
		return nil
	}, age, stale)
	return err
}
