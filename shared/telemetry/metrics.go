package telemetry

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/callout-dev/callout/shared/action"
)

// Metrics is where things are counted and timed. Nil counts nothing, at no cost. It may be used by many at once.
type Metrics struct {
	provider *sdkmetric.MeterProvider
	meter    metric.Meter

	hook, dispatch, delivery, attempt metric.Float64Histogram
	attempts                          metric.Int64Counter

	hooks, dispatches, deliveries, timed, counted series

	sights sights

	// scrape is what Handler reads; nil where nobody asks.
	scrape *sdkmetric.ManualReader
	local  bool
	// every is how often Flush sends, 0 for never; flushed is when it last did, in nanoseconds since 1970.
	every   time.Duration
	flushed atomic.Int64
}

// NewMetrics makes the instruments of a provider. The error is of names that the SDK does not take.
func NewMetrics(provider *sdkmetric.MeterProvider) (*Metrics, error) {
	m := &Metrics{provider: provider, meter: provider.Meter(scope)}
	var problems []error
	histogram := func(name, about string) metric.Float64Histogram {
		h, err := m.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(about),
			metric.WithExplicitBucketBoundaries(bounds...))
		problems = append(problems, err)
		return h
	}
	m.hook = histogram(HookDuration, "How long hooks took, their targets included.")
	m.dispatch = histogram(DispatchDuration, "How long it was from the acceptance of an event until it was recorded with its deliveries.")
	m.delivery = histogram(DeliveryDuration, "How long it was from the recording of an event until its delivery to one target had ended.")
	m.attempt = histogram(AttemptDuration, "How long calls of targets for deliveries took.")
	var err error
	m.attempts, err = m.meter.Int64Counter(Attempts, metric.WithUnit("{attempt}"), metric.WithDescription("Calls of targets for deliveries."))
	problems = append(problems, err, m.watchSights())

	types := words(action.Webhook, action.Call, action.Async)
	outcomes := words(action.Success, action.Failed, action.Timeout)
	m.hooks = newSeries(Condition, words(action.Request, action.Response, action.Function), Outcome, words(HookUnmatched, HookSuccess,
		HookDegraded, HookRejected, HookFailed, HookTimeout, HookCanceled, HookInvalid, HookError))
	m.dispatches = newSeries(Outcome, words(Matched, Unmatched), "", nil)
	m.deliveries = newSeries(TargetType, types, Outcome, words(action.Delivered, action.Dead))
	m.timed = newSeries(TargetType, types, Outcome, outcomes)
	m.counted = newSeries(Outcome, outcomes, ErrorType, words("", action.ErrorStatus, action.ErrorRedirect, action.ErrorTimeout,
		action.ErrorConnection, action.ErrorName, action.ErrorTLS, action.ErrorDenied, action.ErrorPayload))
	return m, errors.Join(problems...)
}

// Hook notes a hook; outcome is one of the Hook words.
func (m *Metrics) Hook(ctx context.Context, condition action.Kind, outcome string, took time.Duration) {
	if m != nil {
		m.hook.Record(ctx, took.Seconds(), m.hooks.of(string(condition), outcome))
	}
}

// Dispatched notes that an event was recorded which the queue had taken at a time; outcome is Matched or Unmatched.
func (m *Metrics) Dispatched(ctx context.Context, taken time.Time, outcome string) {
	if m != nil {
		m.dispatch.Record(ctx, elapsed(taken), m.dispatches.of(outcome, ""))
	}
}

// Attempt notes a call of a target for a delivery.
func (m *Metrics) Attempt(ctx context.Context, of action.TargetType, a action.Attempt) {
	if m != nil {
		m.attempt.Record(ctx, a.Took.Seconds(), m.timed.of(string(of), string(a.Outcome)))
		m.attempts.Add(ctx, 1, m.counted.of(string(a.Outcome), string(a.Error)))
	}
}

// Ended notes that a delivery was made or given up just now; "" for the type where no target was called.
func (m *Metrics) Ended(ctx context.Context, of action.TargetType, d action.Delivery) {
	if m != nil {
		m.delivery.Record(ctx, elapsed(d.Created), m.deliveries.of(string(of), string(d.State)))
	}
}

// elapsed is how long ago something was, in seconds: by another machine's clock, so that it may lie ahead of ours.
func elapsed(since time.Time) float64 { return max(time.Since(since).Seconds(), 0) }

// series are the attributes that an instrument can have, made beforehand: to make them costs more than to record.
type series map[[2]string]metric.MeasurementOption

func words[W ~string](all ...W) []string {
	texts := make([]string, len(all))
	for i, w := range all {
		texts[i] = string(w)
	}
	return texts
}

// newSeries pairs all words of two attributes; the second may have none. A word that is "" leaves its attribute out.
func newSeries(first string, firsts []string, second string, seconds []string) series {
	s := series{}
	if second == "" {
		seconds = []string{""}
	} else {
		seconds = append(seconds, Unknown)
	}
	for _, a := range append(firsts, Unknown) {
		for _, b := range seconds {
			var set []attribute.KeyValue
			if a != "" {
				set = append(set, attribute.String(first, a))
			}
			if b != "" {
				set = append(set, attribute.String(second, b))
			}
			s[[2]string{a, b}] = metric.WithAttributeSet(attribute.NewSet(set...))
		}
	}
	return s
}

// of are the attributes of two words. One that is not known is Unknown, so that no label can grow.
func (s series) of(first, second string) metric.MeasurementOption {
	for _, pair := range [][2]string{{first, second}, {Unknown, second}, {first, Unknown}} {
		if known, ok := s[pair]; ok {
			return known
		}
	}
	return s[[2]string{Unknown, Unknown}]
}
