package local_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/callout-dev/callout/emulator/local"
)

const (
	// metricsFile is what GET /metrics has, but for the numbers; go test ./emulator/local -run Metrics -update writes it.
	metricsFile = "testdata/metrics.txt"
	dashboard   = "../../infra/grafana/callout.json"
)

// TestMetrics: what Prometheus gets of an installation that has seen hooks, events, and targets in every sort of trouble; and that the
// dashboard shows all of it and asks for nothing else. Nothing in it is a customer's.
func TestMetrics(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		w := newWorld(t, i, "good", "flaky", "down", "gone")
		w.sites["flaky"].failFirst(1)
		w.sites["down"].behave(fail)
		w.sites["gone"].behave(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusGone) })
		for name := range w.sites {
			w.execution("to."+name, w.target(name, "5s", true))
		}
		request := func(method, target string) {
			condition := map[string]any{"request": map[string]any{"method": method}}
			w.api.must(t, 200, "PUT", "/v2/actions/executions", map[string]any{"condition": condition, "targets": []string{target}})
		}
		request("/a.A/Good", w.sites["good"].target)
		request("/a.A/Down", w.sites["down"].target)

		w.send("to.nobody", "n")
		w.send("to.good", "g")
		w.send("to.flaky", "f")
		w.send("to.gone", "x")
		w.sendMany("to.down", "d", 8) // the breaker opens
		settle(20 * time.Second)
		w.send("to.gone", "y") // held
		for method, status := range map[string]int{"/a.A/Good": 200, "/a.A/None": 200, "/a.A/Down": 400} {
			hook := map[string]any{"fullMethod": method, "request": map[string]any{}}
			w.api.must(t, status, "POST", "/v1/hooks:invoke", map[string]any{"request": hook})
		}
		settle(2 * time.Minute)

		families, text := scrape(t, i)
		checkMetrics(t, families)
		checkDashboard(t, families)
		checkDocument(t, families)
		for _, secret := range []string{"127.0.0.1", "default", "to.good", w.sites["down"].target} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in the metrics", secret)
			}
		}
		const changes = 10 // of targets and executions, which are events too
		for series, want := range map[string]float64{
			`callout_hook_duration_seconds{callout_condition="request",callout_outcome="success"}`:         1,
			`callout_hook_duration_seconds{callout_condition="request",callout_outcome="unmatched"}`:       1,
			`callout_hook_duration_seconds{callout_condition="request",callout_outcome="failed"}`:          1,
			`callout_dispatch_duration_seconds{callout_outcome="unmatched"}`:                               1 + changes,
			`callout_dispatch_duration_seconds{callout_outcome="matched"}`:                                 12,
			`callout_delivery_duration_seconds{callout_outcome="delivered",callout_target_type="webhook"}`: 2,
			`callout_delivery_duration_seconds{callout_outcome="dead",callout_target_type="webhook"}`:      1,
			`callout_attempts_total{callout_outcome="success"}`:                                            2,
			`callout_attempt_duration_seconds{callout_outcome="success",callout_target_type="webhook"}`:    2,
			`callout_valves{callout_valve_state="open"}`:                                                   1,
			`callout_valves{callout_valve_state="paused"}`:                                                 1,
			`callout_routes_stale_total{}`:                                                                 0,
		} {
			if got := valueOf(families, series); got != want {
				t.Errorf("%s: got %v, want %v", series, got, want)
			}
		}
		held := valueOf(families, `callout_queue_age_seconds{callout_lane="target"}`)
		if sum := sumOf(families["callout_delivery_duration_seconds"], "delivered"); held < 60 || sum < 4 || sum > 7 {
			t.Errorf("held for %v s; delivered in %v s, two attempts 5 s apart", held, sum)
		}
	})
}

// TestMetricsUnwanted: none where OpenTelemetry's variables say so.
func TestMetricsUnwanted(t *testing.T) {
	for _, off := range []string{"OTEL_METRICS_EXPORTER=none", "OTEL_SDK_DISABLED=true"} {
		inBubble(t, func(c *local.Config) { c.Environ = []string{off} }, func(t *testing.T, i *installation) {
			response, err := i.client.Get(i.Info.API + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %s", off, response.Status)
			}
		})
	}
}

// scrape is what GET /metrics says, without a token.
func scrape(t *testing.T, i *installation) (families map[string]*dto.MetricFamily, text string) {
	t.Helper()
	response, err := i.client.Get(i.Info.API + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response.Status, err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err = parser.TextToMetricFamilies(strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	return families, string(body)
}

// checkMetrics holds names, types, help and labels against the golden file.
func checkMetrics(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	var got strings.Builder
	for _, name := range slices.Sorted(maps.Keys(families)) {
		f := families[name]
		fmt.Fprintf(&got, "%s %s: %s\n", name, strings.ToLower(f.GetType().String()), f.GetHelp())
		for _, m := range f.GetMetric() {
			fmt.Fprintf(&got, "  %s\n", labelsOf(m))
		}
	}
	if *update {
		if err := os.WriteFile(metricsFile, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(metricsFile)
	if diff := cmp.Diff(string(want), got.String()); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func labelsOf(m *dto.Metric) string {
	var all []string
	for _, l := range m.GetLabel() {
		all = append(all, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	slices.Sort(all)
	return "{" + strings.Join(all, ",") + "}"
}

// valueOf is the value of a series, or how often a histogram has counted; -1 where there is none.
func valueOf(families map[string]*dto.MetricFamily, series string) float64 {
	name, labels, _ := strings.Cut(series, "{")
	for _, m := range families[name].GetMetric() {
		if labelsOf(m) == "{"+labels {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return -1
}

// sumOf is the sum of a histogram's series of an outcome.
func sumOf(f *dto.MetricFamily, outcome string) (sum float64) {
	for _, m := range f.GetMetric() {
		if strings.Contains(labelsOf(m), `"`+outcome+`"`) {
			sum += m.GetHistogram().GetSampleSum()
		}
	}
	return sum
}

var (
	grouping = regexp.MustCompile(`by \(([^)]*)\)`)
	matchers = regexp.MustCompile(`\{[^}]*\}`)
	metric   = regexp.MustCompile(`\bcallout_\w+`)
	suffix   = regexp.MustCompile(`_(bucket|count|sum)$`)
)

// checkDashboard holds Grafana's queries against what there is.
func checkDashboard(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	text, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Templating struct{ List []struct{ Query string } }
		Panels     []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, p := range board.Panels {
		for _, q := range p.Targets {
			names := metric.FindAllString(matchers.ReplaceAllString(grouping.ReplaceAllString(q.Expr, ""), ""), -1)
			if len(names) != 1 {
				t.Errorf("%s: %q asks for %q", p.Title, q.Expr, names)
				continue
			}
			name := names[0]
			f := families[name]
			if f == nil {
				name = suffix.ReplaceAllString(name, "")
				f = families[name]
			}
			if f == nil || (name != names[0]) != (f.GetType() == dto.MetricType_HISTOGRAM) {
				t.Errorf("%s: there is no %s", p.Title, names[0])
				continue
			}
			shown[name] = true
			checkLabels(t, f, q.Expr, q.LegendFormat)
		}
	}
	for name := range families {
		if !shown[name] {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
	for _, v := range board.Templating.List {
		for _, name := range metric.FindAllString(v.Query, -1) {
			if families[name] == nil {
				t.Errorf("a variable asks for %s", name)
			}
		}
	}
}

// checkDocument: its table in shared/telemetry/README.md has a line for each metric, with its labels.
func checkDocument(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	text, err := os.ReadFile("../../shared/telemetry/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range families {
		var labels []string
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels = append(labels, "`"+l.GetName()+"`")
			}
		}
		row := regexp.MustCompile(fmt.Sprintf("(?m)^\\| `%s` \\| %s \\|([^|]*)\\|", name, strings.ToLower(f.GetType().String())))
		line := row.FindStringSubmatch(string(text))
		if line == nil {
			t.Errorf("the document does not tell of %s, a %s", name, f.GetType())
			continue
		}
		told := regexp.MustCompile("`[^`]+`").FindAllString(line[1], -1)
		slices.Sort(told)
		slices.Sort(labels)
		if diff := cmp.Diff(told, slices.Compact(labels)); diff != "" {
			t.Errorf("labels of %s (-document +metrics):\n%s", name, diff)
		}
	}
}

// checkLabels: a query groups by labels that there are, and names its lines by these.
func checkLabels(t *testing.T, f *dto.MetricFamily, expr, legend string) {
	t.Helper()
	known := []string{"instance", "job"} // Prometheus' own
	if f.GetType() == dto.MetricType_HISTOGRAM {
		known = append(known, "le")
	}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			known = append(known, l.GetName())
		}
	}
	groups := grouping.FindStringSubmatch(expr)
	if groups == nil {
		t.Errorf("%q groups by nothing", expr)
		return
	}
	for _, label := range strings.Split(groups[1], ", ") {
		if !slices.Contains(known, label) {
			t.Errorf("%q: %s has no label %s", expr, f.GetName(), label)
		}
		if label != "le" && !strings.Contains(legend, "{{"+label+"}}") {
			t.Errorf("%q: the legend %q does not name %s", expr, legend, label)
		}
	}
}
