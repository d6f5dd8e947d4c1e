package firestore

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
)

// Handler serves what is asked for over HTTP/1.1, as users of Google's emulator know it:
//
//	DELETE /emulator/v1/projects/{project}/databases/{database}/documents clears a database
//	GET /metrics gives Metrics and those of the store in Prometheus' text form
//	GET / says "Ok", once the server serves
//
// Requests from a web page are refused: those with an Origin, those that a browser says come from a page, and on a loopback address
// those for a name that is not this machine's, which a page elsewhere may have made to lead here.
func (s *Server) Handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{s})
	mux := http.NewServeMux()
	mux.HandleFunc("DELETE /emulator/v1/projects/{project}/databases/{database}/documents", s.serveClear)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("Ok\n")) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isFromPage(r) {
			http.Error(w, "requests from web pages are not served", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func isFromPage(r *http.Request) bool {
	if len(r.Header.Values("Origin")) > 0 {
		return true
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "none" { // none: its user typed the address
		return true
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return local != nil && local.IP.IsLoopback() && !isLoopback(r.Host)
}

// isLoopback says whether a request's host, with a port or without, is a name of this machine for itself.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

func (s *Server) serveClear(w http.ResponseWriter, r *http.Request) {
	database, err := url.PathUnescape(r.PathValue("database"))
	if err != nil || strings.Contains(database, "/") {
		http.Error(w, "the name of the database is malformed", http.StatusBadRequest)
		return
	}
	db, err := resource.ParseDatabase("projects/" + r.PathValue("project") + "/databases/" + database)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := s.Clear(r.Context(), string(db)); err != nil {
		code := http.StatusInternalServerError
		if c := status.Code(err); c == codes.Unavailable || c == codes.ResourceExhausted {
			code = http.StatusServiceUnavailable
		}
		http.Error(w, message(err), code)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte("{}\n"))
}

// collector gives the numbers of a server and its store their names for Prometheus.
type collector struct{ s *Server }

var (
	callsMetric        = prometheus.NewDesc("firestore_calls_total", "Calls, by method and the status they ended with.", []string{"method", "code"}, nil)
	transactionsMetric = prometheus.NewDesc("firestore_transactions", "Transactions that run now.", nil, nil)
	expiredMetric      = prometheus.NewDesc("firestore_expired_documents_total", "Documents removed because their time had come.", nil, nil)
	commitsMetric      = prometheus.NewDesc("storage_commits_total", "Batches applied by the store.", nil, nil)
	syncedMetric       = prometheus.NewDesc("storage_synced_commits_total", "Batches of these that were waited for until durable.", nil, nil)
	diskMetric         = prometheus.NewDesc("storage_disk_bytes", "What the store takes on the disk.", nil, nil)
	cacheMetric        = prometheus.NewDesc("storage_cache_bytes", "What the store's cache holds.", nil, nil)
	debtMetric         = prometheus.NewDesc("storage_compaction_debt_bytes", "What the store has yet to merge until it rests.", nil, nil)
	writableMetric     = prometheus.NewDesc("storage_writable", "1 if writes are taken, 0 if the disk is full or failing.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, out) }

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, t prometheus.ValueType, n float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, t, n, labels...)
	}
	m, store := c.s.Metrics(), c.s.store.Metrics()
	for call, n := range m.Calls {
		send(callsMetric, prometheus.CounterValue, float64(n), call.Method, call.Code)
	}
	send(transactionsMetric, prometheus.GaugeValue, float64(m.Transactions))
	send(expiredMetric, prometheus.CounterValue, float64(m.Expired))
	send(commitsMetric, prometheus.CounterValue, float64(store.Commits))
	send(syncedMetric, prometheus.CounterValue, float64(store.Synced))
	send(diskMetric, prometheus.GaugeValue, float64(store.DiskUsage))
	send(cacheMetric, prometheus.GaugeValue, float64(store.CacheSize))
	send(debtMetric, prometheus.GaugeValue, float64(store.CompactionDebt))
	var writable float64
	if store.Writable {
		writable = 1
	}
	send(writableMetric, prometheus.GaugeValue, writable)
}
