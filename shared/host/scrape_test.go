package host_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/telemetry"
)

// TestMetricsAreForWhomTheyAreFor: where somebody wants the endpoint, it answers all but those who come through a proxy; else it is for this
// machine alone.
func TestMetricsAreForWhomTheyAreFor(t *testing.T) {
	machine := telemetry.Config{Local: true}
	wanted := telemetry.Config{MetricsExporter: "prometheus"}
	for _, tt := range []struct {
		name       string
		config     telemetry.Config
		peer, host string
		header     string
		status     int
	}{
		{"nobody wants them", telemetry.Config{}, "127.0.0.1:5000", "127.0.0.1:8080", "", http.StatusNotFound},
		{"on this machine", machine, "127.0.0.1:5000", "127.0.0.1:8080", "", http.StatusOK},
		{"on this machine, by name", machine, "[::1]:5000", "localhost:8080", "", http.StatusOK},
		{"by a name that was made to lead here", machine, "127.0.0.1:5000", "evil.example:8080", "", http.StatusNotFound},
		{"from elsewhere", machine, "192.0.2.7:5000", "127.0.0.1:8080", "", http.StatusNotFound},
		{"from elsewhere through a proxy here", machine, "127.0.0.1:5000", "127.0.0.1:8080", "X-Forwarded-For", http.StatusNotFound},
		{"wanted, from elsewhere", wanted, "192.0.2.7:5000", "callout:8080", "", http.StatusOK},
		{"wanted, through a balancer", wanted, "192.0.2.7:5000", "callout.example", "X-Forwarded-For", http.StatusNotFound},
		{"wanted, through another proxy", wanted, "192.0.2.7:5000", "callout.example", "Forwarded", http.StatusNotFound},
		{"wanted, through a third one", wanted, "192.0.2.7:5000", "callout.example", "Via", http.StatusNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			metrics, err := telemetry.OpenMetrics(t.Context(), tt.config, "callout-test", "1")
			if err != nil {
				t.Fatal(err)
			}
			metrics.SawRetries(0)
			routes, err := host.Routes(&env.Clients{Log: logging.Discard(), Metrics: metrics}, nil)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			r.RemoteAddr, r.Host = tt.peer, tt.host
			if tt.header != "" {
				r.Header.Set(tt.header, "198.51.100.1")
			}
			w := httptest.NewRecorder()
			routes.ServeHTTP(w, r)
			if w.Code != tt.status || (w.Code == http.StatusOK) != strings.Contains(w.Body.String(), "callout_queue_age_seconds{") {
				t.Errorf("%d: %s", w.Code, w.Body)
			}
		})
	}
}
