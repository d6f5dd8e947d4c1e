package host

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/queue"
	"github.com/callout-dev/callout/shared/telemetry"
)

// traced begins a span for each call, by its route: what else is in a path is for the attributes of those who know what it means.
func traced(c *env.Clients, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := c.Telemetry.Receive(r.Context(), r.Method+" "+r.Pattern, trace.SpanKindServer, telemetry.Headers(r.Header),
			attribute.String("http.request.method", r.Method), attribute.String("http.route", r.Pattern))
		seen := &statusWriter{ResponseWriter: w}
		defer func() {
			if seen.status != 0 {
				span.SetAttributes(attribute.Int("http.response.status_code", seen.status))
			}
			if seen.status >= http.StatusInternalServerError {
				telemetry.Fail(span, http.StatusText(seen.status))
			}
			span.End()
			c.Telemetry.Flush(ctx, c.Log)
			c.Metrics.Flush(ctx, c.Log)
		}()
		next.ServeHTTP(seen, r.WithContext(ctx))
	})
}

// traceMessages begins a span for each message that a function works on, within the trace that the message is a part of.
func traceMessages(c *env.Clients, function string, next EventFunc) EventFunc {
	return func(ctx context.Context, m queue.Message) error {
		ctx, span := c.Telemetry.Receive(ctx, "process "+function, trace.SpanKindConsumer, telemetry.Attributes(m.Attributes),
			attribute.String("messaging.system", "gcp_pubsub"), attribute.String("messaging.message.id", m.ID))
		err := next(ctx, m)
		telemetry.End(span, err)
		c.Telemetry.Flush(ctx, c.Log)
		c.Metrics.Flush(ctx, c.Log)
		return err
	}
}
