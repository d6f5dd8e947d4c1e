package telemetry

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
)

// header is W3C's, as headers and as the attribute of a message.
const header = "traceparent"

// propagator reads and writes traceparent and tracestate; it has no state.
var propagator propagation.TraceContext

// Carrier is what a trace context travels in.
type Carrier = propagation.TextMapCarrier

// Headers are those of a request.
func Headers(h http.Header) Carrier { return propagation.HeaderCarrier(h) }

// Attributes are those of a message.
func Attributes(a map[string]string) Carrier { return texts(a) }

type texts map[string]string

func (t texts) Get(key string) string { return t[key] }
func (t texts) Set(key, value string) { t[key] = value }
func (t texts) Keys() []string {
	var keys []string
	for key := range t {
		keys = append(keys, key)
	}
	return keys
}

// Inject writes the span of the context into a carrier; nothing where there is none.
func Inject(ctx context.Context, carrier Carrier) { propagator.Inject(ctx, carrier) }

// WithTrace is a message's attributes with the span of the context; the same ones where there is none. The tracestate stays behind: it is the
// caller's, and may be longer than an attribute can be.
func WithTrace(ctx context.Context, attributes map[string]string) map[string]string {
	span := Traceparent(ctx)
	if span == "" {
		return attributes
	}
	with := map[string]string{header: span}
	for name, value := range attributes {
		if name != header {
			with[name] = value
		}
	}
	return with
}

// Traceparent is the span of the context as text, "" where there is none.
func Traceparent(ctx context.Context) string {
	carrier := texts{}
	Inject(ctx, carrier)
	return carrier[header]
}
