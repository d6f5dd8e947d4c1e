package call

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/url"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/telemetry"
)

const headerTrace = "Traceparent"

// attributes tell what a call's span is about. Of the endpoint they name the host alone: its path and query may be secret.
func (r Request) attributes() []attribute.KeyValue {
	about := []attribute.KeyValue{attribute.String("http.request.method", http.MethodPost), attribute.String("callout.target", string(r.Target.ID))}
	if u, err := url.Parse(r.Target.Endpoint); err == nil {
		about = append(about, attribute.String("server.address", u.Hostname()))
	}
	if r.Delivery != "" {
		about = append(about, attribute.String("callout.delivery", string(r.Delivery)), attribute.Int("callout.attempt", r.Attempt))
	}
	return about
}

// tell puts into a call's span how it ended.
func (r Result) tell(span trace.Span) {
	if r.Status != 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", r.Status))
	}
	if r.Outcome != action.Success {
		telemetry.Fail(span, string(r.Error))
	}
}

// setTrace makes the call a part of the trace that it belongs to; of a new one, sampled, where there is none, for targets are promised one.
func setTrace(ctx context.Context, h http.Header) {
	if trace.SpanContextFromContext(ctx).IsValid() {
		telemetry.Inject(ctx, telemetry.Headers(h))
		return
	}
	var ids [24]byte
	_, _ = rand.Read(ids[:]) // never fails: see crypto/rand
	h.Set(headerTrace, "00-"+hex.EncodeToString(ids[:16])+"-"+hex.EncodeToString(ids[16:])+"-01")
}
