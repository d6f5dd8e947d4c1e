package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/telemetry"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func from(traceparent string) telemetry.Carrier {
	return telemetry.Attributes(map[string]string{"traceparent": traceparent})
}

// TestNoTelemetry: without one there are no spans, and the trace of who calls is passed on as it came.
func TestNoTelemetry(t *testing.T) {
	var none *telemetry.Telemetry
	ctx, span := none.Receive(t.Context(), "call", trace.SpanKindServer, from(parent))
	ctx, inner := telemetry.Start(ctx, "inner", trace.SpanKindClient)
	if span.IsRecording() || inner.IsRecording() || telemetry.Traceparent(ctx) != parent {
		t.Errorf("recording %t and %t, traceparent %q", span.IsRecording(), inner.IsRecording(), telemetry.Traceparent(ctx))
	}
	telemetry.End(inner, errors.New("x"))
	none.Flush(ctx, logging.Discard())
	none.Close(logging.Discard())
	for _, malformed := range []string{"", "x", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", strings.Repeat("0", 1<<16)} {
		ctx, _ := none.Receive(t.Context(), "call", trace.SpanKindServer, from(malformed))
		if got := telemetry.Traceparent(ctx); got != "" {
			t.Errorf("of %.60q it makes %q", malformed, got)
		}
	}
}

// recorded is a telemetry that keeps its spans.
func recorded(flushes bool) (*telemetry.Telemetry, *tracetest.InMemoryExporter) {
	exporter := tracetest.NewInMemoryExporter()
	return telemetry.New(sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter)), flushes), exporter
}

// TestAcrossTheQueue: what is published within a span is received within it, whatever else the message says.
func TestAcrossTheQueue(t *testing.T) {
	tel, _ := recorded(false)
	ctx, span := tel.Receive(t.Context(), "call", trace.SpanKindServer, from(parent))
	given := map[string]string{"source": "s"}
	sent := telemetry.WithTrace(ctx, given)
	if len(given) != 1 || sent["source"] != "s" || !strings.Contains(sent["traceparent"], span.SpanContext().SpanID().String()) {
		t.Errorf("of %v it makes %v", given, sent)
	}
	_, received := tel.Receive(t.Context(), "message", trace.SpanKindConsumer, telemetry.Attributes(sent))
	if received.SpanContext().TraceID() != span.SpanContext().TraceID() || received.SpanContext().SpanID() == span.SpanContext().SpanID() {
		t.Errorf("received in %v, sent in %v", received.SpanContext(), span.SpanContext())
	}
	long := telemetry.Attributes(map[string]string{"traceparent": parent, "tracestate": "a=" + strings.Repeat("x", 250) + ",b=" + strings.Repeat("y", 250)})
	ctx, _ = tel.Receive(t.Context(), "call", trace.SpanKindServer, long)
	if got := telemetry.WithTrace(ctx, map[string]string{"source": "s", "traceparent": "another"}); len(got) != 2 || got["traceparent"] != telemetry.Traceparent(ctx) {
		t.Errorf("with a long tracestate it makes %v", got)
	}
	if got := telemetry.WithTrace(t.Context(), given); len(got) != 1 {
		t.Errorf("outside of a trace it makes %v", got)
	}
	if _, none := tel.Receive(t.Context(), "message", trace.SpanKindConsumer, telemetry.Attributes(nil)); !none.SpanContext().IsValid() {
		t.Error("a message without attributes begins no trace")
	}
}

// TestResume: what is tried again belongs to its first trace, and is linked to what tries it.
func TestResume(t *testing.T) {
	tel, exporter := recorded(true)
	ctx, outer := tel.Receive(t.Context(), "sweep", trace.SpanKindConsumer, from(""))
	_, again := telemetry.Resume(ctx, "retry", parent)
	telemetry.End(again, errs.New(errs.NotFound, "", "s3cret"))
	outer.End()
	tel.Flush(ctx, logging.Discard())
	spans := exporter.GetSpans()
	if len(spans) != 2 || spans[0].Name != "retry" {
		t.Fatalf("%d spans: %v", len(spans), spans)
	}
	retry := spans[0]
	if retry.SpanContext.TraceID().String() != parent[3:35] || len(retry.Links) != 1 || retry.Links[0].SpanContext.SpanID() != outer.SpanContext().SpanID() {
		t.Errorf("trace %s, links %v", retry.SpanContext.TraceID(), retry.Links)
	}
	if retry.Status.Description != string(errs.NotFound) {
		t.Errorf("status %+v", retry.Status)
	}
	for _, malformed := range []string{"", "x"} {
		if same, _ := telemetry.Resume(ctx, "retry", malformed); same != ctx {
			t.Errorf("%q is resumed", malformed)
		}
	}
}

// TestFlush: spans are sent before the answer where nothing happens after it, and not before otherwise.
func TestFlush(t *testing.T) {
	for _, flushes := range []bool{true, false} {
		tel, exporter := recorded(flushes)
		ctx, span := tel.Receive(t.Context(), "call", trace.SpanKindServer, from(""))
		span.End()
		gone, cancel := context.WithCancel(ctx)
		cancel() // the caller has hung up
		tel.Flush(gone, logging.Discard())
		if sent := len(exporter.GetSpans()); sent != map[bool]int{true: 1, false: 0}[flushes] {
			t.Errorf("flushes %t: %d spans", flushes, sent)
		}
	}
}

// TestClose: what has ended before the process is sent, though nothing flushes.
func TestClose(t *testing.T) {
	exporter := &kept{}
	tel := telemetry.New(sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter)), false)
	_, span := tel.Receive(t.Context(), "call", trace.SpanKindServer, from(""))
	span.End()
	tel.Close(logging.Discard())
	if exporter.spans != 1 {
		t.Errorf("%d spans were sent", exporter.spans)
	}
}

// kept counts spans, and is not emptied by a shutdown.
type kept struct{ spans int }

func (k *kept) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	k.spans += len(spans)
	return nil
}

func (k *kept) Shutdown(context.Context) error { return nil }

// TestOpen: what the variables say, and a collector that gets spans or is away.
func TestOpen(t *testing.T) {
	for name, tt := range map[string]struct {
		config telemetry.Config
		spans  bool
		err    string
	}{
		"nothing":            {telemetry.Config{}, false, ""},
		"disabled":           {telemetry.Config{Disabled: true, Endpoint: "http://c.test"}, false, ""},
		"no exporter":        {telemetry.Config{Exporter: "none", Endpoint: "http://c.test"}, false, ""},
		"a collector":        {telemetry.Config{Endpoint: "http://c.test"}, true, ""},
		"one for traces":     {telemetry.Config{TracesEndpoint: "http://c.test"}, true, ""},
		"an unknown one":     {telemetry.Config{Exporter: "zipkin"}, false, "OTEL_TRACES_EXPORTER"},
		"over gRPC":          {telemetry.Config{Exporter: "otlp", Protocol: "grpc"}, false, "OTEL_EXPORTER_OTLP_PROTOCOL"},
		"traces over HTTP":   {telemetry.Config{Exporter: "otlp", Protocol: "grpc", TracesProtocol: "http/protobuf"}, true, ""},
		"the default's name": {telemetry.Config{Exporter: "otlp"}, true, ""},
	} {
		tel, err := telemetry.Open(t.Context(), tt.config, "callout-test", "1")
		if (tel != nil) != tt.spans || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: telemetry %t, error %v", name, tel != nil, err)
		}
		tel.Close(logging.Discard())
	}
}

// TestCollector: a collector gets what has happened, by the name of the service; one that is away costs the call a second at the most.
func TestCollector(t *testing.T) {
	var body atomic.Pointer[[]byte]
	away := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if text, _ := io.ReadAll(r.Body); body.CompareAndSwap(nil, &text) {
			return
		}
		select {
		case <-r.Context().Done():
		case <-away:
		}
	}))
	t.Cleanup(func() { close(away); collector.Close() })
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	tel, err := telemetry.Open(t.Context(), telemetry.Config{Endpoint: collector.URL, Service: "x"}, "callout-test", "1")
	if err != nil {
		t.Fatal(err)
	}
	call := func() string {
		var log bytes.Buffer
		ctx, span := tel.Receive(t.Context(), "GET /thing", trace.SpanKindServer, from(parent))
		span.End()
		tel.Flush(ctx, logging.New(&log, logging.Text, slog.LevelInfo))
		return log.String()
	}
	if log := call(); log != "" || body.Load() == nil || !bytes.Contains(*body.Load(), []byte("callout-test")) || !bytes.Contains(*body.Load(), []byte("GET /thing")) {
		t.Errorf("log %q; the collector got %q", log, *body.Load())
	}
	start := time.Now()
	if log := call(); !strings.Contains(log, "spans not sent") || !strings.Contains(log, "trace_id="+parent[3:35]) || time.Since(start) > 5*time.Second {
		t.Errorf("a collector that is away: %v, log %q", time.Since(start), log)
	}
}
