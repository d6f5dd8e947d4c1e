package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/call"
	"github.com/callout-dev/callout/shared/egress"
	"github.com/callout-dev/callout/shared/engine"
	"github.com/callout-dev/callout/shared/routing"
	"github.com/callout-dev/callout/shared/signature"
)

// BenchmarkChain runs a request's hook with one target and with ten beside as many bare signed POSTs of the same body, to the same server over
// loopback TCP, in turn: x is how many times the bare one's median the chain's is. The bars are 1.25 for one target and 1.15 for ten.
func BenchmarkChain(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"username":"lee"}`)
	}))
	defer server.Close()
	policy, err := egress.NewPolicy("127.0.0.0/8", "")
	if err != nil {
		b.Fatal(err)
	}
	hook := request(`{"username":"kim","email":{"email":"kim@example.org"},"note":"` + string(bytes.Repeat([]byte("x"), 500)) + `"}`)
	body := []byte(`{"fullMethod":"/a.A/M","instanceID":"here","orgID":"o","userID":"u","request":` + string(hook.Request) + `}`)
	const key = "newnewnewnewnewnewnewnewnewnewnewnew"
	for name, targets := range map[string]int{"one target": 1, "ten targets": 10} {
		b.Run(name, func(b *testing.B) {
			var route routing.Route
			route.Execution = "request"
			for range targets {
				route.Destinations = append(route.Destinations, &routing.Destination{Target: action.Target{
					ID: "t", Type: action.Call, Timeout: 10 * time.Second, Endpoint: server.URL, SigningKeys: []action.SigningKey{{Value: key}},
				}})
			}
			e := engine.Engine{
				Routes: &table{route: route}, Caller: call.Caller{Client: egress.NewClient(policy), UserAgent: "Callout/bench"},
				Headers: engine.DefaultHeaders(), Log: slog.New(slog.DiscardHandler),
			}
			bare := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext, MaxIdleConnsPerHost: 8}}
			var chain, posts []time.Duration
			for b.Loop() {
				began := time.Now()
				if result, err := e.Run(b.Context(), hook); err != nil || string(result.Message) != `{"username":"lee"}` {
					b.Fatal(err)
				}
				middle := time.Now()
				for range targets {
					if err := post(b.Context(), bare, server.URL, key, body); err != nil {
						b.Fatal(err)
					}
				}
				chain, posts = append(chain, middle.Sub(began)), append(posts, time.Since(middle))
			}
			slices.Sort(chain)
			slices.Sort(posts)
			n := len(chain)
			b.ReportMetric(float64(chain[n/2].Microseconds()), "chain-p50-µs")
			b.ReportMetric(float64(posts[n/2].Microseconds()), "bare-p50-µs")
			b.ReportMetric(float64(chain[n*99/100].Microseconds()), "chain-p99-µs")
			b.ReportMetric(float64(chain[n/2])/float64(posts[n/2]), "x")
		})
	}
}

// post is a signed POST and nothing else; the answer is JSON that is looked at.
func post(ctx context.Context, client *http.Client, url, key string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	signature.Sign(r.Header, []string{key}, "msg_1", time.Now(), body)
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var message map[string]any
	return json.NewDecoder(answer.Body).Decode(&message)
}
