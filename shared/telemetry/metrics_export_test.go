package telemetry_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/telemetry"
)

// TestOpenMetrics: who wants metrics, by OpenTelemetry's variables.
func TestOpenMetrics(t *testing.T) {
	for name, tt := range map[string]struct {
		config                telemetry.Config
		made, scraped, locals bool
		err                   string
	}{
		"nothing":                  {config: telemetry.Config{}},
		"on one machine":           {config: telemetry.Config{Local: true}, made: true, scraped: true, locals: true},
		"a collector":              {config: telemetry.Config{Endpoint: "http://c.test"}, made: true, locals: true},
		"one for metrics":          {config: telemetry.Config{MetricsEndpoint: "http://c.test"}, made: true, locals: true},
		"one for traces":           {config: telemetry.Config{TracesEndpoint: "http://c.test"}},
		"a collector of one's own": {config: telemetry.Config{Local: true, Endpoint: "http://c.test"}, made: true, scraped: true, locals: true},
		"Prometheus":               {config: telemetry.Config{MetricsExporter: "prometheus"}, made: true, scraped: true},
		"and no collector":         {config: telemetry.Config{MetricsExporter: "prometheus", Endpoint: "http://c.test"}, made: true, scraped: true},
		"both":                     {config: telemetry.Config{MetricsExporter: "otlp, prometheus"}, made: true, scraped: true},
		"OTLP":                     {config: telemetry.Config{MetricsExporter: "otlp", Local: true}, made: true},
		"none":                     {config: telemetry.Config{MetricsExporter: "none", Endpoint: "http://c.test", Local: true}},
		"disabled":                 {config: telemetry.Config{Disabled: true, MetricsExporter: "otlp", Local: true}},
		"an unknown one":           {config: telemetry.Config{MetricsExporter: "prometheus,statsd"}, err: "OTEL_METRICS_EXPORTER"},
		"over gRPC":                {config: telemetry.Config{MetricsExporter: "otlp", MetricsProtocol: "grpc"}, err: "OTEL_EXPORTER_OTLP_PROTOCOL"},
		"a negative interval":      {config: telemetry.Config{MetricsExporter: "otlp", Interval: -1}, err: "OTEL_METRIC_EXPORT_INTERVAL"},
	} {
		m, err := telemetry.OpenMetrics(t.Context(), tt.config, "callout-test", "1")
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: error %v", name, err)
		}
		if (m != nil) != tt.made || (m.Handler() != nil) != tt.scraped || m.Local() != tt.locals {
			t.Errorf("%s: made %t, scraped %t, local %t", name, m != nil, m.Handler() != nil, m.Local())
		}
		m.Close(slog.New(slog.DiscardHandler))
	}
}

const scraped = `# HELP callout_hook_duration_seconds How long hooks took, their targets included.
# TYPE callout_hook_duration_seconds histogram
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="0.001"} 1
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="0.0025"} 1
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="0.005"} 1
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="0.01"} 1
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="0.025"} 1
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="0.05"} 1
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="0.1"} 1
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="0.25"} 1
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="0.5"} 1
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="1"} 1
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="2.5"} 2
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="5"} 2
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="10"} 2
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="30"} 2
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="60"} 2
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="300"} 2
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="900"} 2
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="3600"} 2
callout_hook_duration_seconds_bucket{callout_condition="request",callout_outcome="success",le="+Inf"} 3
callout_hook_duration_seconds_sum{callout_condition="request",callout_outcome="success"} 4001.5005
callout_hook_duration_seconds_count{callout_condition="request",callout_outcome="success"} 3
# HELP callout_routes_age_seconds How long ago changes of routes were last learnt.
# TYPE callout_routes_age_seconds gauge
callout_routes_age_seconds 0.25
# HELP callout_routes_stale_total Answers from routes that were too old.
# TYPE callout_routes_stale_total counter
callout_routes_stale_total 7
`

// TestHandler: Prometheus' text form, which Prometheus' own parser reads.
func TestHandler(t *testing.T) {
	m, err := telemetry.OpenMetrics(t.Context(), telemetry.Config{MetricsExporter: "prometheus"}, "callout-test", "1")
	if err != nil {
		t.Fatal(err)
	}
	for _, took := range []time.Duration{500 * time.Microsecond, 1500 * time.Millisecond, 4000 * time.Second} {
		m.Hook(t.Context(), action.Request, telemetry.HookSuccess, took)
	}
	if err := m.WatchRoutes(func() telemetry.Routes { return telemetry.Routes{Known: true, Age: time.Second / 4, Stale: 7} }); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if diff := cmp.Diff(scraped, w.Body.String()); diff != "" || w.Header().Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("%v (-want +got):\n%s", w.Header(), diff)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil || len(families) != 3 {
		t.Errorf("%d families, %v", len(families), err)
	}
	if h := families["callout_hook_duration_seconds"].GetMetric()[0].GetHistogram(); h.GetSampleCount() != 3 || len(h.GetBucket()) != 19 {
		t.Errorf("histogram %v", h)
	}
}

// counting is an exporter that counts what it is told to send.
type counting struct {
	sdkmetric.Exporter
	exports atomic.Int64
}

func (c *counting) Export(context.Context, *metricdata.ResourceMetrics) error {
	c.exports.Add(1)
	return nil
}
func (c *counting) ForceFlush(context.Context) error { return nil }
func (c *counting) Shutdown(context.Context) error   { return nil }
func (c *counting) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DefaultTemporalitySelector(k)
}
func (c *counting) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

// TestFlushMetrics: where nothing happens after an answer, one call in ten seconds sends the metrics, and the process's end what is left.
func TestFlushMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exporter := &counting{}
		reader := sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(telemetry.Never))
		m, err := telemetry.NewMetrics(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
		if err != nil {
			t.Fatal(err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel() // the caller has hung up
		flush := func(times int) int64 {
			for range times {
				m.Flush(gone, logging.Discard())
			}
			return exporter.exports.Load()
		}
		time.Sleep(time.Hour)
		if n := flush(1); n != 0 {
			t.Errorf("where processes live on, a call has sent %d times", n)
		}
		m.FlushEvery(10 * time.Second)
		for i, want := range []int64{0, 1, 1, 2} {
			if n := flush(5); n != want {
				t.Errorf("after %d s: sent %d times, want %d", i*6, n, want)
			}
			time.Sleep([]time.Duration{10 * time.Second, 6 * time.Second, 6 * time.Second, 0}[i])
		}
		m.Close(logging.Discard())
		if n := exporter.exports.Load(); n != 3 {
			t.Errorf("sent %d times at the end", n)
		}
	})
}

// TestMetricsToCollector: a collector gets what was counted, by the name of the service and of this process.
func TestMetricsToCollector(t *testing.T) {
	var got bytes.Buffer
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/metrics" {
			_, _ = io.Copy(&got, r.Body)
		}
	}))
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	m, err := telemetry.OpenMetrics(t.Context(), telemetry.Config{Endpoint: collector.URL, Service: "x"}, "callout-test", "1")
	if err != nil {
		t.Fatal(err)
	}
	m.Hook(t.Context(), action.Request, telemetry.HookRejected, time.Second)
	m.Flush(t.Context(), logging.Discard()) // too early
	m.Close(logging.Discard())
	collector.Close()
	for _, word := range []string{"callout-test", "service.instance.id", telemetry.HookDuration, telemetry.HookRejected} {
		if !strings.Contains(got.String(), word) {
			t.Errorf("the collector did not get %q", word)
		}
	}
}
