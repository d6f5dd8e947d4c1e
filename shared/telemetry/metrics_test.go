package telemetry_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/telemetry"
)

// measured is a metrics that nobody but the reader asks.
func measured(t testing.TB) (*telemetry.Metrics, *sdkmetric.ManualReader) {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	m, err := telemetry.NewMetrics(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	if err != nil {
		t.Fatal(err)
	}
	return m, reader
}

// read is all that a reader has, one line for each series: "name unit{attributes} value", sorted. Of a histogram, the value is sum/count.
func read(t testing.TB, reader *sdkmetric.ManualReader) []string {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			add := func(set attribute.Set, value string) {
				lines = append(lines, fmt.Sprintf("%s %s{%s} %s", m.Name, m.Unit, set.Encoded(attribute.DefaultEncoder()), value))
			}
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, fmt.Sprintf("%.4g/%d", p.Sum, p.Count))
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, fmt.Sprint(p.Value))
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, fmt.Sprint(p.Value))
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, fmt.Sprintf("%.4g", p.Value))
				}
			default:
				t.Errorf("%s is a %T", m.Name, m.Data)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func TestInstruments(t *testing.T) {
	for name, tt := range map[string]struct {
		note func(*telemetry.Metrics)
		want []string
	}{
		"hooks": {func(m *telemetry.Metrics) {
			m.Hook(t.Context(), action.Request, telemetry.HookSuccess, 20*time.Millisecond)
			m.Hook(t.Context(), action.Request, telemetry.HookSuccess, 30*time.Millisecond)
			m.Hook(t.Context(), action.Function, telemetry.HookTimeout, time.Second)
		}, []string{
			"callout.hook.duration s{callout.condition=function,callout.outcome=timeout} 1/1",
			"callout.hook.duration s{callout.condition=request,callout.outcome=success} 0.05/2",
		}},
		"a hook of no kind": {func(m *telemetry.Metrics) { m.Hook(t.Context(), "", telemetry.HookInvalid, time.Second) }, []string{
			"callout.hook.duration s{callout.condition=unknown,callout.outcome=invalid} 1/1",
		}},
		"events": {func(m *telemetry.Metrics) {
			m.Dispatched(t.Context(), time.Now().Add(-2*time.Second), telemetry.Matched)
			m.Dispatched(t.Context(), time.Now().Add(time.Minute), telemetry.Unmatched)
		}, []string{
			"callout.dispatch.duration s{callout.outcome=matched} 2/1",
			"callout.dispatch.duration s{callout.outcome=unmatched} 0/1",
		}},
		"attempts": {func(m *telemetry.Metrics) {
			m.Attempt(t.Context(), action.Webhook, action.Attempt{Took: time.Second, Outcome: action.Success})
			m.Attempt(t.Context(), action.Call, action.Attempt{Took: 2 * time.Second, Outcome: action.Failed, Error: action.ErrorStatus})
			m.Attempt(t.Context(), "", action.Attempt{Outcome: "a later one", Error: "another"})
		}, []string{
			"callout.attempt.duration s{callout.outcome=failed,callout.target.type=call} 2/1",
			"callout.attempt.duration s{callout.outcome=success,callout.target.type=webhook} 1/1",
			"callout.attempt.duration s{callout.outcome=unknown,callout.target.type=unknown} 0/1",
			"callout.attempts {attempt}{callout.outcome=failed,error.type=status} 1",
			"callout.attempts {attempt}{callout.outcome=success} 1",
			"callout.attempts {attempt}{callout.outcome=unknown,error.type=unknown} 1",
		}},
		"deliveries": {func(m *telemetry.Metrics) {
			m.Ended(t.Context(), action.Async, action.Delivery{State: action.Delivered, Created: time.Now().Add(-time.Hour)})
			m.Ended(t.Context(), "", action.Delivery{State: action.Dead, Created: time.Now()})
		}, []string{
			"callout.delivery.duration s{callout.outcome=dead,callout.target.type=unknown} 0/1",
			"callout.delivery.duration s{callout.outcome=delivered,callout.target.type=async} 3600/1",
		}},
		"what a sweeper saw": {func(m *telemetry.Metrics) {
			m.SawTargets(time.Hour, map[action.ValveState]int{action.ValveOpen: 2, "": 1})
			m.SawRetries(-time.Second)
			time.Sleep(2 * time.Minute)
		}, []string{
			"callout.queue.age s{callout.lane=retry} 0",
			"callout.queue.age s{callout.lane=target} 3600",
			"callout.valves {target}{callout.valve.state=draining} 0",
			"callout.valves {target}{callout.valve.state=open} 2",
			"callout.valves {target}{callout.valve.state=paused} 0",
			"callout.valves {target}{callout.valve.state=removed} 0",
		}},
		"what a sweeper saw long ago": {func(m *telemetry.Metrics) {
			m.SawTargets(time.Hour, nil)
			m.SawRetries(time.Hour)
			time.Sleep(3 * time.Minute)
		}, nil},
		"routes": {func(m *telemetry.Metrics) {
			stands := telemetry.Routes{Known: true, Age: 1500 * time.Millisecond, Stale: 3}
			if err := m.WatchRoutes(func() telemetry.Routes { return stands }); err != nil {
				t.Error(err)
			}
		}, []string{
			"callout.routes.age s{} 1.5",
			"callout.routes.stale {answer}{} 3",
		}},
		"routes that were never looked at": {func(m *telemetry.Metrics) {
			if err := m.WatchRoutes(func() telemetry.Routes { return telemetry.Routes{} }); err != nil {
				t.Error(err)
			}
		}, []string{"callout.routes.stale {answer}{} 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, reader := measured(t)
				tt.note(m)
				if diff := cmp.Diff(tt.want, read(t, reader)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestNoMetrics: without one nothing is counted, and nothing is allocated for it.
func TestNoMetrics(t *testing.T) {
	var none *telemetry.Metrics
	cost := testing.AllocsPerRun(10, func() {
		none.Hook(t.Context(), action.Request, telemetry.HookSuccess, time.Second)
		none.Dispatched(t.Context(), time.Time{}, telemetry.Matched)
		none.Attempt(t.Context(), action.Call, action.Attempt{})
		none.Ended(t.Context(), action.Call, action.Delivery{})
		none.SawRetries(0)
		none.SawTargets(0, nil)
		none.Flush(t.Context(), logging.Discard())
	})
	none.Close(logging.Discard())
	if cost != 0 || none.Handler() != nil || none.Local() {
		t.Errorf("%v allocations", cost)
	}
}

// TestCostOfMetrics: the attributes are made beforehand.
func TestCostOfMetrics(t *testing.T) {
	m, _ := measured(t)
	attempt := action.Attempt{Took: time.Second, Outcome: action.Failed, Error: action.ErrorStatus}
	for name, note := range map[string]func(){
		"a hook":     func() { m.Hook(t.Context(), action.Request, telemetry.HookSuccess, time.Second) },
		"an attempt": func() { m.Attempt(t.Context(), action.Webhook, attempt) }, // two instruments
	} {
		if cost := testing.AllocsPerRun(100, note); cost > 2 {
			t.Errorf("%s: %v allocations", name, cost)
		}
	}
}

func BenchmarkMetrics(b *testing.B) {
	m, _ := measured(b)
	var none *telemetry.Metrics
	traced, _ := telemetry.New(sdktrace.NewTracerProvider(), false).Receive(b.Context(), "call", trace.SpanKindServer, from(parent))
	attempt := action.Attempt{Took: time.Second, Outcome: action.Failed, Error: action.ErrorStatus}
	for name, note := range map[string]func(){
		"hook":           func() { m.Hook(b.Context(), action.Request, telemetry.HookSuccess, time.Millisecond) },
		"hook_in_a_span": func() { m.Hook(traced, action.Request, telemetry.HookSuccess, time.Millisecond) },
		"hook_unwanted":  func() { none.Hook(b.Context(), action.Request, telemetry.HookSuccess, time.Millisecond) },
		"attempt":        func() { m.Attempt(b.Context(), action.Webhook, attempt) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				note()
			}
		})
	}
}
