package local_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/callout-dev/callout/emulator/local"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/hook"
	"github.com/callout-dev/callout/shared/logging"
)

// hooking is an installation on loopback TCP, with a target that answers requests of /a.A/Fast at once and those of /a.A/Slow never.
type hooking struct {
	engine *hook.Installation
	tokens oauth2.TokenSource // of a caller with every right
	target string             // its URL
	key    string
}

func newHooking(b *testing.B) *hooking {
	b.Helper()
	const free = "127.0.0.1:0"
	l, err := local.Start(b.Context(), local.Config{
		Listen: free, Issuer: free, EgressAllow: local.DefaultEgressAllow, Log: logging.Discard(), NewKey: nextKey(),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close(context.Background()) })
	server := httptest.NewServer(http.HandlerFunc(answerHook))
	b.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return hookingOf(b, l.Info, server.URL)
}

// answerHook is the target's.
func answerHook(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.URL.Path == "/slow" {
		<-r.Context().Done()
	}
	_, _ = io.WriteString(w, `{"username":"lee"}`)
}

// hookingOf makes the targets and their executions.
func hookingOf(b *testing.B, info local.Info, target string) *hooking {
	b.Helper()
	admin := tokenClient(b.Context(), &http.Client{}, info, "admin")
	h := &hooking{target: target}
	for _, name := range []string{"Slow", "Fast"} {
		made := send(b, admin, "POST", info.API+"/v2/actions/targets",
			`{"name":"`+name+`","restCall":{},"timeout":"60s","endpoint":"`+target+"/"+strings.ToLower(name)+`"}`)
		send(b, admin, "PUT", info.API+"/v2/actions/executions",
			`{"condition":{"request":{"service":"a.`+name+`"}},"targets":["`+made["id"].(string)+`"]}`)
		h.key = made["signingKey"].(string)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	h.tokens = admin.Transport.(*oauth2.Transport).Source
	h.engine = hook.Remote(info.API, h.tokens, &http.Client{Transport: transport})
	return h
}

func send(b *testing.B, client *http.Client, method, url, body string) map[string]any {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		b.Fatal(response.Status, string(text), err)
	}
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil {
		b.Fatal(err)
	}
	return answer
}

const kim = `{"username":"kim","email":{"email":"kim@example.org"}}`

func (h *hooking) invoke(ctx context.Context, service string) error {
	return askHook(ctx, h.engine, service)
}

// askHook runs the hook of a request.
func askHook(ctx context.Context, engine hook.Engine, service string) error {
	_, err := engine.Invoke(ctx, &calloutv1.InvokeRequest{Hook: &calloutv1.InvokeRequest_Request{
		Request: &calloutv1.RequestHook{FullMethod: "/a." + service + "/M", RequestJson: kim},
	}})
	return err
}

// BenchmarkBesideHangingTarget calls a target that answers at once while 200 calls of one that hangs are under way, and right before that while
// there are none, 100 a second each time: x is the median, over the rounds, of how many times the p99 of before it takes. The bar is 1.5; a
// stall of the machine is in one of the two, so it wants some rounds (-benchtime 7x).
func BenchmarkBesideHangingTarget(b *testing.B) {
	h := newHooking(b)
	measure := func() time.Duration {
		var took []time.Duration
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for range 1000 {
			began := <-ticker.C
			if err := h.invoke(b.Context(), "Fast"); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
		return at(took, 99)
	}
	var controls, besides []time.Duration
	var ratios []float64
	for b.Loop() {
		control := measure()
		ctx, cancel := context.WithCancel(b.Context())
		var hanging sync.WaitGroup
		for range 200 {
			hanging.Go(func() { _ = h.invoke(ctx, "Slow") })
		}
		beside := measure()
		cancel()
		hanging.Wait()
		controls, besides, ratios = append(controls, control), append(besides, beside), append(ratios, float64(beside)/float64(control))
	}
	b.ReportMetric(float64(at(controls, 50).Microseconds()), "control-p99-µs")
	b.ReportMetric(float64(at(besides, 50).Microseconds()), "p99-µs")
	b.ReportMetric(at(ratios, 50), "x")
	b.ReportMetric(slices.Min(ratios), "x-lowest")
	b.ReportMetric(slices.Max(ratios), "x-highest")
}

// at is a percentile.
func at[T cmp.Ordered](all []T, percent int) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}
