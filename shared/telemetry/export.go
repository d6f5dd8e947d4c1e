package telemetry

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

const (
	// flushEvery is how often a process that only lives while it answers sends its metrics at the end of a call. One call in ten seconds waits
	// for a collector, which should be near; at the stop, the rest is sent.
	flushEvery = 10 * time.Second
	// never is the clock of a reader that only sends when it is told to: what begins by itself would be frozen half-way.
	never = math.MaxInt64 * time.Nanosecond
)

// What OTEL_METRICS_EXPORTER may list.
const (
	exporterNone       = "none"
	exporterOTLP       = "otlp"
	exporterPrometheus = "prometheus"
)

// OpenMetrics makes what the variables say, as Open does: nil where nobody wants metrics.
func OpenMetrics(ctx context.Context, c Config, name, version string) (*Metrics, error) {
	otlp, scraped, err := c.metrics()
	if err != nil || !otlp && !scraped {
		return nil, err
	}
	about, err := describe(ctx, name, version, attribute.String("service.instance.id", rand.Text())) // what two processes count does not mix
	if err != nil {
		return nil, err
	}
	options := []sdkmetric.Option{sdkmetric.WithResource(about)}
	var every time.Duration
	if otlp {
		exporter, err := otlpmetrichttp.New(ctx) // reads OTEL_EXPORTER_OTLP_*
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_*: %w", err)
		}
		var clock []sdkmetric.PeriodicReaderOption // OTEL_METRIC_EXPORT_INTERVAL, a minute
		if c.Service != "" {
			every = cmp.Or(time.Duration(c.Interval)*time.Millisecond, flushEvery)
			clock = append(clock, sdkmetric.WithInterval(never))
		}
		options = append(options, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter, clock...)))
	}
	var scrape *sdkmetric.ManualReader
	if scraped {
		scrape = sdkmetric.NewManualReader()
		options = append(options, sdkmetric.WithReader(scrape))
	}
	m, err := NewMetrics(sdkmetric.NewMeterProvider(options...))
	if err != nil {
		return nil, err
	}
	m.every, m.scrape, m.local = every, scrape, c.MetricsExporter == ""
	m.flushed.Store(time.Now().UnixNano())
	return m, nil
}

// metrics says who wants them.
func (c Config) metrics() (otlp, scraped bool, err error) {
	if c.Disabled {
		return false, false, nil
	}
	if c.Interval < 0 {
		return false, false, errors.New("OTEL_METRIC_EXPORT_INTERVAL: must be milliseconds")
	}
	if c.MetricsExporter == "" {
		otlp, scraped = c.Endpoint != "" || c.MetricsEndpoint != "", c.Local
	} else {
		for exporter := range strings.SplitSeq(c.MetricsExporter, ",") {
			switch strings.TrimSpace(exporter) {
			case exporterOTLP:
				otlp = true
			case exporterPrometheus:
				scraped = true
			case exporterNone:
			default:
				return false, false, fmt.Errorf("OTEL_METRICS_EXPORTER: must be otlp, prometheus, both or none, not %q", c.MetricsExporter)
			}
		}
	}
	if protocol := cmp.Or(c.MetricsProtocol, c.Protocol, overHTTP); otlp && protocol != overHTTP {
		return false, false, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: must be %s, not %q", overHTTP, protocol)
	}
	return otlp, scraped, nil
}

// describe is the resource: name and version are those of the service where the variables tell no others.
func describe(ctx context.Context, name, version string, more ...attribute.KeyValue) (*resource.Resource, error) {
	more = append(more, attribute.String("service.name", name), attribute.String("service.version", version))
	about, err := resource.New(ctx, resource.WithAttributes(more...), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return about, nil
}

// Close sends what was not sent yet, at the price of Telemetry.Close.
func (m *Metrics) Close(log *slog.Logger) {
	if m != nil {
		send(context.Background(), "metrics", m.provider.Shutdown, log)
	}
}

// Flush sends the metrics where nothing happens after an answer, if they were not sent lately; at the price of Close for the one call that
// does it.
func (m *Metrics) Flush(ctx context.Context, log *slog.Logger) {
	if m == nil || m.every == 0 {
		return
	}
	last, now := m.flushed.Load(), time.Now().UnixNano()
	if since := time.Duration(now - last); since >= 0 && since < m.every || !m.flushed.CompareAndSwap(last, now) {
		return
	}
	send(ctx, "metrics", m.provider.ForceFlush, log)
}
