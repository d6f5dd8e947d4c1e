package engine_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/engine"
	"github.com/callout-dev/callout/shared/telemetry"
)

// TestEndingsAreTimed: each hook is timed once, under the word for how it ended.
func TestEndingsAreTimed(t *testing.T) {
	const forwarded = `{"forwardedStatusCode":403,"forwardedErrorMessage":"no"}`
	slow := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for _, tt := range []struct {
		name string
		set  func(*site)
		hook engine.Hook
		want string
		took float64 // in seconds
	}{
		{"nothing matches", func(*site) {}, request(`{}`), telemetry.HookUnmatched, 0},
		{"a target succeeds", func(s *site) { s.target(action.Webhook, true, says(200, "")) }, request(`{}`), telemetry.HookSuccess, 0},
		{"a target is left to the queue", func(s *site) { s.target(action.Async, true, nil) }, request(`{}`), telemetry.HookSuccess, 0},
		{"one of two fails, and does not interrupt", func(s *site) {
			s.target(action.Webhook, false, says(500, ""))
			s.target(action.Webhook, true, says(200, ""))
		}, response(`{}`), telemetry.HookDegraded, 0},
		{"a target rejects", func(s *site) { s.target(action.Webhook, true, says(200, forwarded)) }, function(`{}`), telemetry.HookRejected, 0},
		{"a target fails", func(s *site) { s.target(action.Webhook, true, says(500, "")) }, request(`{}`), telemetry.HookFailed, 0},
		{"a target is too slow", func(s *site) { s.target(action.Webhook, true, slow) }, request(`{}`), telemetry.HookTimeout, 1},
		{"a malformed hook", func(*site) {}, request(`{`), telemetry.HookInvalid, 0},
		{"routes cannot be read", func(s *site) { s.routes.err = errBroken }, request(`{}`), telemetry.HookError, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *site) {
				tt.set(s)
				reader := timed(t, s)
				_, _ = s.engine.Run(t.Context(), tt.hook)
				checkTimed(t, reader, tt.hook.Kind, tt.want, tt.took)
			})
		})
	}
	t.Run("the caller goes", func(t *testing.T) {
		inBubble(t, func(t *testing.T, s *site) {
			s.target(action.Webhook, true, slow)
			reader := timed(t, s)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
			defer cancel()
			gone, leave := context.WithCancel(t.Context())
			context.AfterFunc(ctx, leave)
			_, _ = s.engine.Run(gone, request(`{}`))
			checkTimed(t, reader, action.Request, telemetry.HookCanceled, 0.5)
		})
	})
}

// timed has a site's hooks timed.
func timed(t *testing.T, s *site) *sdkmetric.ManualReader {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	var err error
	if s.engine.Metrics, err = telemetry.NewMetrics(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))); err != nil {
		t.Fatal(err)
	}
	return reader
}

func checkTimed(t *testing.T, reader *sdkmetric.ManualReader, kind action.Kind, ending string, took float64) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil || len(all.ScopeMetrics) != 1 || len(all.ScopeMetrics[0].Metrics) != 1 {
		t.Fatalf("%v: %v", all, err)
	}
	points := all.ScopeMetrics[0].Metrics[0].Data.(metricdata.Histogram[float64]).DataPoints
	want := attribute.NewSet(attribute.String(telemetry.Condition, string(kind)), attribute.String(telemetry.Outcome, ending))
	if len(points) != 1 || points[0].Count != 1 || points[0].Sum != took || !points[0].Attributes.Equals(&want) {
		t.Errorf("timed %+v, want %v once, %v s", points, want.Encoded(attribute.DefaultEncoder()), took)
	}
}
