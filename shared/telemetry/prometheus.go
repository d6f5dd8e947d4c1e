package telemetry

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// contentType is Prometheus' text form. It is written here, for the few kinds of instruments there are: Prometheus' own client would add a
// megabyte to the image.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// Handler answers with all metrics in Prometheus' text form; nil where nobody wants them so.
func (m *Metrics) Handler() http.Handler {
	if m == nil || m.scrape == nil {
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var all metricdata.ResourceMetrics
		if err := m.scrape.Collect(r.Context(), &all); err != nil {
			http.Error(w, "metrics cannot be read", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", contentType)
		writeMetrics(w, all)
	})
}

// Local says that nobody asked for Handler: it is there for whoever is on this machine.
func (m *Metrics) Local() bool { return m != nil && m.local }

func writeMetrics(w io.Writer, all metricdata.ResourceMetrics) {
	var out bytes.Buffer
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			name := prometheusName(m.Name)
			if m.Unit == "s" {
				name += "_seconds"
			}
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				writeFamily(&out, name, "histogram", m.Description, data.DataPoints, histogramLines)
			case metricdata.Sum[int64]:
				writeFamily(&out, name+"_total", "counter", m.Description, data.DataPoints, pointLine[int64])
			case metricdata.Gauge[int64]:
				writeFamily(&out, name, "gauge", m.Description, data.DataPoints, pointLine[int64])
			case metricdata.Gauge[float64]:
				writeFamily(&out, name, "gauge", m.Description, data.DataPoints, pointLine[float64])
			}
		}
	}
	_, _ = w.Write(out.Bytes())
}

// writeFamily writes the series of one instrument, in the order of their labels.
func writeFamily[P any](out *bytes.Buffer, name, kind, about string, points []P, lines func(name string, p P) string) {
	fmt.Fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, about, name, kind)
	texts := make([]string, len(points))
	for i, p := range points {
		texts[i] = lines(name, p)
	}
	slices.Sort(texts)
	for _, text := range texts {
		out.WriteString(text)
	}
}

func histogramLines(name string, p metricdata.HistogramDataPoint[float64]) string {
	var out strings.Builder
	count := uint64(0)
	for i, n := range p.BucketCounts {
		bound := "+Inf"
		if i < len(p.Bounds) {
			bound = number(p.Bounds[i])
		}
		count += n
		fmt.Fprintf(&out, "%s_bucket%s %d\n", name, labels(p.Attributes, `le="`+bound+`"`), count)
	}
	fmt.Fprintf(&out, "%s_sum%s %s\n", name, labels(p.Attributes), number(p.Sum))
	fmt.Fprintf(&out, "%s_count%s %d\n", name, labels(p.Attributes), p.Count)
	return out.String()
}

func pointLine[N int64 | float64](name string, p metricdata.DataPoint[N]) string {
	return name + labels(p.Attributes) + " " + number(float64(p.Value)) + "\n"
}

func labels(set attribute.Set, more ...string) string {
	var all []string
	for _, a := range set.ToSlice() {
		all = append(all, prometheusName(string(a.Key))+`="`+escape.Replace(a.Value.String())+`"`)
	}
	if all = append(all, more...); len(all) == 0 {
		return ""
	}
	return "{" + strings.Join(all, ",") + "}"
}

var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func prometheusName(name string) string { return strings.ReplaceAll(name, ".", "_") }

func number(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) }
