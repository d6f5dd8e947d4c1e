// Package telemetry makes OpenTelemetry's spans and metrics. One trace shows an event or a hook from the host's call through the queue to the
// target and back: only who receives a call or a message needs a Telemetry for it; everything below continues the span of its context.
// Whoever counts or times something has a Metrics; names.go lists what there is.
package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/logging"
)

const scope = "github.com/callout-dev/callout"

// overHTTP is the one form of OTLP that is spoken, and OpenTelemetry's default.
const overHTTP = "http/protobuf"

// flushTime bounds what a call, or the end of a process, waits for its spans or its metrics to be sent.
const flushTime = time.Second

// Telemetry is where spans begin. Nil begins none, and passes on the trace of who calls.
type Telemetry struct {
	provider *sdktrace.TracerProvider
	// flushes says that spans are sent before each answer: the processor is taken away after it.
	flushes bool
}

// New makes one of a provider; flushes is for processes that only live while they answer.
func New(provider *sdktrace.TracerProvider, flushes bool) *Telemetry {
	return &Telemetry{provider: provider, flushes: flushes}
}

// Config is which of OpenTelemetry's own variables decide whether there are spans and metrics; its exporters read the others.
type Config struct {
	Disabled bool   `env:"OTEL_SDK_DISABLED"`
	Exporter string `env:"OTEL_TRACES_EXPORTER"`
	// MetricsExporter lists otlp, prometheus, both or none.
	MetricsExporter string `env:"OTEL_METRICS_EXPORTER"`
	// The endpoints name a collector.
	Endpoint        string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
	TracesEndpoint  string `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"`
	MetricsEndpoint string `env:"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"`
	Protocol        string `env:"OTEL_EXPORTER_OTLP_PROTOCOL"`
	TracesProtocol  string `env:"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"`
	MetricsProtocol string `env:"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"`
	// Interval is how often metrics are sent, in milliseconds; 0 is the default.
	Interval int `env:"OTEL_METRIC_EXPORT_INTERVAL"`
	// Service is set where a process has a processor only while it answers: spans and metrics are sent before that then.
	Service string `env:"K_SERVICE"`
	// Local is no variable: whoever is on this machine may scrape the metrics where MetricsExporter says nothing.
	Local bool
}

// Open makes what the variables say: nil where they name nobody who wants the spans. Name and version are those of the service where
// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES tell no others. Spans go by OTLP over HTTP.
func Open(ctx context.Context, c Config, name, version string) (*Telemetry, error) {
	if c.Disabled || c.Exporter == exporterNone || c.Exporter == "" && c.Endpoint == "" && c.TracesEndpoint == "" {
		return nil, nil
	}
	if c.Exporter != "" && c.Exporter != exporterOTLP {
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER: must be otlp or none, not %q", c.Exporter)
	}
	if protocol := cmp.Or(c.TracesProtocol, c.Protocol, overHTTP); protocol != overHTTP {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: must be %s, not %q", overHTTP, protocol)
	}
	exporter, err := otlptracehttp.New(ctx) // reads OTEL_EXPORTER_OTLP_*
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_*: %w", err)
	}
	about, err := describe(ctx, name, version)
	if err != nil {
		return nil, err
	}
	return New(sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)), c.Service != ""), nil
}

// Close sends what is left. A collector that is away costs a second, and a word in the log.
func (t *Telemetry) Close(log *slog.Logger) {
	if t != nil {
		send(context.Background(), "spans", t.provider.Shutdown, log)
	}
}

// Flush sends the spans that have ended, where nothing happens after an answer; at the price of Close.
func (t *Telemetry) Flush(ctx context.Context, log *slog.Logger) {
	if t != nil && t.flushes {
		send(ctx, "spans", t.provider.ForceFlush, log)
	}
}

// send goes on when the caller has gone, or the process stops.
func send(ctx context.Context, what string, all func(context.Context) error, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if err := all(ctx); err != nil {
		log.WarnContext(ctx, what+" not sent", logging.Err, err)
	}
}

// Receive begins the span of a call or a message that has come, within the trace of who sent it: carrier has the W3C trace context of it. Log
// lines name the span then.
func (t *Telemetry) Receive(ctx context.Context, name string, kind trace.SpanKind, carrier Carrier, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	ctx = propagator.Extract(ctx, carrier)
	if t == nil {
		return noop.NewTracerProvider().Tracer(scope).Start(ctx, name)
	}
	ctx, span := t.provider.Tracer(scope).Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
	is := span.SpanContext()
	return logging.With(ctx, slog.String(logging.Trace, is.TraceID().String()), slog.String(logging.Span, is.SpanID().String())), span
}

// Start begins a span within that of the context.
func Start(ctx context.Context, name string, kind trace.SpanKind, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	return tracer(ctx).Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
}

// Resume begins a span within a trace that Traceparent told earlier, linked to the span of the context: what is tried again is a part of what
// it began with.
func Resume(ctx context.Context, name, traceparent string) (context.Context, trace.Span) {
	earlier := trace.SpanContextFromContext(propagator.Extract(context.Background(), texts{header: traceparent}))
	if !earlier.IsValid() {
		return ctx, noop.Span{}
	}
	return tracer(ctx).Start(trace.ContextWithRemoteSpanContext(ctx, earlier), name, trace.WithLinks(trace.LinkFromContext(ctx)))
}

func tracer(ctx context.Context) trace.Tracer {
	return trace.SpanFromContext(ctx).TracerProvider().Tracer(scope)
}

// End ends a span; an error marks it as failed, by its kind alone: what it says may be secret.
func End(span trace.Span, err error) {
	if err != nil {
		Fail(span, string(errs.KindOf(err)))
	}
	span.End()
}

// Fail marks a span as failed; kind is a short word (OpenTelemetry's error.type).
func Fail(span trace.Span, kind string) {
	span.SetStatus(codes.Error, kind)
	span.SetAttributes(attribute.String("error.type", kind))
}
