package faults_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// process is a program that runs and may be killed.
type process struct {
	cmd  *exec.Cmd
	said string // the line that it was waited for
}

// launch starts a program and waits for a line with that text. It is killed when the test ends.
func launch(t *testing.T, environ []string, until, path string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(path, args...)}
	p.cmd.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "GOMEMLIMIT=512MiB", "CALLOUT_RETRY_SCHEDULE=" + impatient}, environ...)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = writer, writer
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	t.Cleanup(func() {
		p.kill()
		_ = reader.Close()
	})
	found := make(chan string, 1)
	go func() {
		defer close(found)
		var all strings.Builder
		lines := bufio.NewScanner(reader)
		for lines.Scan() {
			fmt.Fprintln(&all, lines.Text())
			if strings.Contains(lines.Text(), until) {
				found <- lines.Text()
				_, _ = io.Copy(io.Discard, reader)
				return
			}
		}
		found <- ""
		fmt.Fprintf(os.Stderr, "%s ended early:\n%s", filepath.Base(path), all.String())
	}()
	select {
	case p.said = <-found:
	case <-time.After(time.Minute):
	}
	if p.said == "" {
		t.Fatalf("%s did not say %q", filepath.Base(path), until)
	}
	return p
}

// impatient is a schedule for tests that run in real time.
const impatient = "1s,1s,2s,2s,2s,2s,2s,5s,5s,5s,5s,5s,5s,5s,5s,5s,5s,5s,5s,5s"

// kill is SIGKILL: nothing is written, nobody is told.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// built is the folder with emulator and functions, once a test has asked for one of them.
var built struct {
	sync.Once
	into string
	err  error
}

// program is the path of one of them.
func program(t *testing.T, name string) string {
	t.Helper()
	built.Do(func() {
		if built.into, built.err = os.MkdirTemp("", "callout-faults-"); built.err != nil {
			return
		}
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", built.into, "../../emulator", "../../functions")
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // as the image is built, so that they share what was compiled
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.into, name)
}

// freePorts finds n addresses that nobody listens on.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var addresses []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}

// router splits one origin by path, to functions that come and go.
type router struct {
	url string
	mu  sync.Mutex
	to  map[string]*url.URL
}

// newRouter listens until the test ends. Through is how functions are reached; nil means the addresses that they were added with.
func newRouter(t *testing.T, through http.RoundTripper) *router {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &router{url: "http://" + l.Addr().String(), to: map[string]*url.URL{}}
	server := &http.Server{Handler: &httputil.ReverseProxy{
		Transport: through,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(r.find(p.In.URL.Path))
			p.Out.Host = p.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return r
}

// find gives the function of the longest path that fits, as a mux does.
func (r *router) find(path string) *url.URL {
	r.mu.Lock()
	defer r.mu.Unlock()
	best, to := "", &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	for p, u := range r.to {
		if (path == p || strings.HasSuffix(p, "/") && strings.HasPrefix(path, p)) && len(p) > len(best) {
			best, to = p, u
		}
	}
	return to
}

func (r *router) add(paths []string, address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range paths {
		r.to[p] = &url.URL{Scheme: "http", Host: address}
	}
}

// load publishes events at a rate until it is stopped, and remembers which were acknowledged.
type load struct {
	api   *api
	batch int
	every time.Duration

	mu    sync.Mutex
	acked []string
	tried int
	done  chan struct{}
	all   sync.WaitGroup
}

func (l *load) start(run string) {
	l.done = make(chan struct{})
	room := make(chan struct{}, 16) // a caller that waits for answers, as callers do
	l.all.Go(func() {
		ticker := time.NewTicker(l.every)
		defer ticker.Stop()
		for n := 0; ; n++ {
			select {
			case <-l.done:
				return
			case <-ticker.C:
			}
			select {
			case room <- struct{}{}:
				l.all.Go(func() {
					l.publish(fmt.Sprintf("%s-%d", run, n))
					<-room
				})
			default: // all wait: this one is not sent
			}
		}
	})
}

func (l *load) publish(prefix string) {
	var batch []map[string]any
	var ids []string
	for k := range l.batch {
		id := fmt.Sprintf("%s-%d", prefix, k)
		ids = append(ids, id)
		batch = append(batch, map[string]any{"id": id, "event_type": "order.created", "event_payload": map[string]any{"text": strings.Repeat("x", 300)}})
	}
	status, _, err := l.api.call(http.MethodPost, "/v1/events", map[string]any{"events": batch})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried += len(ids)
	if err == nil && status == http.StatusAccepted {
		l.acked = append(l.acked, ids...)
	}
}

func (l *load) stop() {
	close(l.done)
	l.all.Wait()
}

// missing lists the acknowledged events that a site has not seen.
func (l *load) missing(s *site) []string {
	first, _, _ := s.saw()
	l.mu.Lock()
	defer l.mu.Unlock()
	var missing []string
	for _, id := range l.acked {
		if _, seen := first[id]; !seen {
			missing = append(missing, id)
		}
	}
	return missing
}

// patience is how long to wait for what a kill left: what a killed sweeper had claimed is due in ten minutes. CI does not wait for it.
func patience() time.Duration {
	if *report {
		return 11 * time.Minute
	}
	return time.Minute
}

// await waits until every site has seen every acknowledged event, and says how many deliveries there are of which none has.
func (l *load) await(t *testing.T, sites ...*site) int {
	t.Helper()
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		lost := 0
		for _, s := range sites {
			lost += len(l.missing(s))
		}
		if lost == 0 || time.Since(began) > patience() {
			return lost
		}
	}
}

// realSite is a target on a port of this machine.
func realSite(t *testing.T, b behaviour) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite("http://" + l.Addr().String() + "/")
	s.become(b)
	s.serve(t, l)
	return s
}

// states counts the deliveries by state, as the API tells it.
func states(t *testing.T, a *api) map[string]int {
	t.Helper()
	answer := a.must(t, http.MethodPost, "/v1/deliveries/search", map[string]any{"counts": true, "pageSize": 1})
	byState := map[string]int{}
	counts, _ := answer["counts"].(map[string]any)
	for state, n := range counts {
		if number, ok := n.(float64); ok {
			byState[state] = int(number)
		}
	}
	return byState
}

// awaitFinal waits until nothing is unfinished, and gives up where that takes too long.
func awaitFinal(t *testing.T, a *api) map[string]int {
	t.Helper()
	for began := time.Now(); ; time.Sleep(500 * time.Millisecond) {
		byState := states(t, a)
		if byState["pending"]+byState["retrying"] == 0 || time.Since(began) > patience() {
			return byState
		}
	}
}

// between is a random time of that range.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}
