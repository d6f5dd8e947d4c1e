package local_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/shared/telemetry"
)

const (
	hostTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	hostSpan  = "00f067aa0ba902b7"
	// traceFile is what a trace looks like; go test ./emulator/local -run Traces -update writes it.
	traceFile = "testdata/traces.txt"
)

// TestTraces: an event that is tried twice, and a hook, are one trace each, from the host's call through the queue to the target, which is told
// the span of its call. Nothing in it is secret.
func TestTraces(t *testing.T) {
	exported := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exported))
	tracing := func(c *local.Config) { c.Telemetry = telemetry.New(provider, false) }
	inBubble(t, tracing, func(t *testing.T, i *installation) {
		w := newWorld(t, i, "flaky")
		var mu sync.Mutex
		var told []string
		w.sites["flaky"].behave(func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if told = append(told, r.Header.Get("Traceparent")); len(told) == 1 {
				rw.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		id := w.target("flaky", "5s", false)
		w.api.must(t, 200, "POST", "/v2/actions/targets/"+id, map[string]any{"endpoint": "http://127.0.0.1:9001/flaky?token=s3cret"})
		w.execution("order.created", id)
		w.api.must(t, 200, "PUT", "/v2/actions/executions", map[string]any{"condition": map[string]any{"request": map[string]any{"method": "/a.A/M"}}, "targets": []string{id}})
		exported.Reset()

		var got strings.Builder
		for _, c := range []struct{ name, method, path, body string }{
			{"an event whose first attempt fails", "POST", "/v1/events", `{"id":"e1","event_type":"order.created","aggregateID":"a1"}`},
			{"a hook", "POST", "/v1/hooks:invoke", `{"request":{"fullMethod":"/a.A/M","request":{}}}`},
		} {
			r, err := http.NewRequestWithContext(t.Context(), c.method, i.Info.API+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Traceparent", "00-"+hostTrace+"-"+hostSpan+"-01")
			r.Header.Set("Content-Type", "application/json")
			response, err := i.as(t.Context(), "admin").Do(r)
			if err != nil || response.StatusCode >= 300 {
				t.Fatal(response, err)
			}
			_ = response.Body.Close()
			time.Sleep(20 * time.Second)
			spans := exported.GetSpans()
			exported.Reset()
			fmt.Fprintf(&got, "-- %s --\n", c.name)
			writeTrace(&got, spans)
			for _, header := range told {
				if !slices.ContainsFunc(spans, func(s tracetest.SpanStub) bool {
					return header == "00-"+hostTrace+"-"+s.SpanContext.SpanID().String()+"-01" && s.SpanKind == trace.SpanKindClient
				}) {
					t.Errorf("%s: the target was told %q, which is no call's span", c.name, header)
				}
			}
			told = []string{}
		}
		if strings.Contains(got.String(), "s3cret") {
			t.Error("a secret is in a span")
		}
		if *update {
			if err := os.WriteFile(traceFile, []byte(got.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(traceFile)
		if diff := cmp.Diff(string(want), got.String()); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

// writeTrace writes the spans of the host's trace as a tree: each below its parent, in the order in which they began.
func writeTrace(out *strings.Builder, spans tracetest.SpanStubs) {
	slices.SortStableFunc(spans, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	var write func(parent, indent string)
	write = func(parent, indent string) {
		for _, s := range spans {
			if s.SpanContext.TraceID().String() != hostTrace || s.Parent.SpanID().String() != parent {
				continue
			}
			fmt.Fprintf(out, "%s%s [%s] %s", indent, s.Name, s.SpanKind, s.Status.Code)
			for _, a := range s.Attributes {
				fmt.Fprintf(out, " %s=%s", a.Key, steady(a))
			}
			if len(s.Links) > 0 {
				fmt.Fprintf(out, " links=%d", len(s.Links))
			}
			out.WriteByte('\n')
			write(s.SpanContext.SpanID().String(), indent+"  ")
		}
	}
	write(hostSpan, "")
}

// steady is an attribute's value, but for ids, which are new each time.
func steady(a attribute.KeyValue) string {
	switch a.Key {
	case "callout.target", "callout.delivery", "messaging.message.id":
		return "…"
	}
	return a.Value.String()
}
