package local_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"
)

const (
	// maxIdle is how much memory a function may hold before it has been asked anything, in bytes.
	maxIdle = 40 << 20
	// maxStart is how soon the first request should be answered. It is told and not required: machines are noisy.
	maxStart = 150 * time.Millisecond
	starts   = 7
)

// measured is what one start cost, from the start of the process on.
type measured struct {
	health, request time.Duration
	idle, after     int // resident memory before and after that request, in bytes
}

// checkStarts starts each service several times, and asks it for its health and for something real. It is held against an HTTP server
// that does nothing, in the same run. (A real answer of the sweeper comes two seconds late: so long it waits for what else comes due.)
func (c *cloud) checkStarts(t *testing.T, bare string) {
	admin := "Bearer " + c.token(t, "admin")
	requests := map[string]func(base string) int{}
	for _, s := range services() {
		requests[s.name] = c.realRequest(t, s, admin)
	}
	rounds := map[string][]measured{}
	for range starts {
		rounds["bare"] = append(rounds["bare"], measure(t, func() *process { return launch(t, []string{"PORT=0"}, "serving", bare) },
			func(base string) int { return ask(t, http.MethodGet, base+"/", "", "") }))
		for _, s := range services() {
			rounds[s.name] = append(rounds[s.name], measure(t, func() *process { return c.start(t, s) }, requests[s.name]))
		}
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "service\tuntil /health\tof bare\tuntil a real answer\tidle\tafter\t")
	base := median(rounds["bare"], func(m measured) time.Duration { return m.health })
	row := func(name string) {
		health := median(rounds[name], func(m measured) time.Duration { return m.health })
		request := median(rounds[name], func(m measured) time.Duration { return m.request })
		idle := median(rounds[name], func(m measured) int { return m.idle })
		after := median(rounds[name], func(m measured) int { return m.after })
		fmt.Fprintf(table, "%s\t%.0f ms\t%.1f ×\t%.0f ms\t%.1f MiB\t%.1f MiB\t\n", name, milliseconds(health), float64(health)/float64(base),
			milliseconds(request), float64(idle)/(1<<20), float64(after)/(1<<20))
		if idle > maxIdle {
			t.Errorf("%s holds %d bytes when idle; %d are allowed", name, idle, maxIdle)
		}
		if health > maxStart {
			t.Logf("%s took %v to its first answer, which is more than %v; a bare server took %v", name, health, maxStart, base)
		}
	}
	row("bare")
	for _, s := range services() {
		row(s.name)
	}
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("medians of %d starts\n%s", starts, &text)
}

// checkLazy starts each service with the clients of Google's services instead of those of the emulator: it asks neither the issuer nor the
// metadata server, from which its tokens come, before somebody asks it something. It holds no more memory than beside the emulator.
func (c *cloud) checkLazy(t *testing.T) {
	var asked atomic.Int32
	everybody := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer everybody.Close()
	for _, s := range services() {
		t.Run(s.name, func(t *testing.T) {
			asked.Store(0)
			p := c.start(t, s, "FIRESTORE_EMULATOR_HOST=", "PUBSUB_EMULATOR_HOST=",
				"GCE_METADATA_HOST="+strings.TrimPrefix(everybody.URL, "http://"), "CALLOUT_ISSUER="+everybody.URL, "CALLOUT_PUSH_ISSUER="+everybody.URL)
			base := p.base(t)
			if status := ask(t, http.MethodGet, base+"/health", "", ""); status != http.StatusOK {
				t.Errorf("health: %d", status)
			}
			if n := asked.Load(); n != 0 {
				t.Errorf("it asked %d times", n)
			}
			if idle := resident(t, p); idle > maxIdle {
				t.Errorf("it holds %d bytes; %d are allowed", idle, maxIdle)
			}
			if s.name == "keys" {
				return // it may be asked by everybody, and asks nobody who they are
			}
			request := c.realRequest(t, s, "Bearer "+c.token(t, "admin"))
			if status := request(base); status != http.StatusServiceUnavailable || asked.Load() == 0 {
				t.Errorf("a real request: %d, and it asked %d times", status, asked.Load())
			}
		})
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median[T ~int | ~int64](rounds []measured, of func(measured) T) T {
	var all []T
	for _, m := range rounds {
		all = append(all, of(m))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func measure(t *testing.T, start func() *process, request func(base string) int) (m measured) {
	t.Helper()
	began := time.Now()
	p := start()
	defer p.stop()
	base := p.base(t)
	if status := ask(t, http.MethodGet, base+"/health", "", ""); status != http.StatusOK {
		t.Fatalf("health: %d", status)
	}
	m.health = time.Since(began)
	m.idle = resident(t, p)
	again := time.Now()
	if status := request(base); status >= 400 {
		t.Fatalf("a real request: %d", status)
	}
	m.request = m.health + time.Since(again)
	m.after = resident(t, p)
	return m
}

// realRequest is a request that takes a service to what it stands on: the issuer and the database or the queue. What is pushed is what was
// pushed already.
func (c *cloud) realRequest(t *testing.T, s service, admin string) func(base string) int {
	t.Helper()
	if s.event {
		last := c.router.last(s.paths[0])
		return func(base string) int { return c.push(t, base+s.paths[0], last) }
	}
	asked, ok := map[string][3]string{
		"targets":    {http.MethodPost, "/v2/actions/targets/search", `{}`},
		"executions": {http.MethodPost, "/v2/actions/executions/search", `{}`},
		"invoke":     {http.MethodPost, "/v1/hooks:invoke", `{"request":{"fullMethod":"/image.v1.Cold/Start","request":{}}}`},
		"publish":    {http.MethodPost, "/v1/events", `{"event_type":"image.started"}`},
		"deliveries": {http.MethodPost, "/v1/deliveries/search", `{}`},
		"keys":       {http.MethodGet, "/oauth/v2/keys", ``},
		"console":    {http.MethodGet, "/console/signin", ``}, // sends people on to the issuer
	}[s.name]
	if !ok {
		t.Fatalf("there is no request for %s", s.name)
	}
	return func(base string) int { return ask(t, asked[0], base+asked[1], admin, asked[2]) }
}

func ask(t *testing.T, method, url, authorization, body string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", authorization)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultTransport.RoundTrip(request) // which follows nobody
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// resident is the memory that a process holds, in bytes, as the kernel counts it: with what of its file was read.
func resident(t *testing.T, p *process) int {
	t.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kilobytes, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(text, "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatal("the kernel says nothing of resident memory")
	return 0
}
