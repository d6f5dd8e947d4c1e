package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/shared/logging"
)

// small is a plan of everything, too small to say anything.
func small(parts ...string) plan {
	return plan{
		parts: parts, rounds: 2, rate: 50, latencyTime: 200 * time.Millisecond, events: 100, batch: 20, senders: 2, payload: 600,
		targets: 20, neighbourTime: 200 * time.Millisecond, flood: 500, backlog: 100, ledger: 600,
		costRates: []int{20, 60}, costTime: time.Second,
	}
}

// running is a bench of an installation on a temporary folder.
func running(t testing.TB, p plan, out io.Writer) *bench {
	t.Helper()
	const free = "127.0.0.1:0"
	data := t.TempDir()
	l, err := local.Start(t.Context(), local.Config{
		Listen: free, Issuer: free, Firestore: free, PubSub: free, Data: data, EgressAllow: local.DefaultEgressAllow, Log: logging.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	at := place{data: data, listen: free}
	c, err := connect(t.Context(), at, os.Getenv, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := listen(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	b, err := newBench(t.Context(), p, c, r, out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// A run too small to say anything of each part, against a real installation: every number is there.
func TestMeasure(t *testing.T) {
	tests := []struct {
		part string
		want []string
	}{
		{partLatency, []string{"bare signed POST, p50", "bare publish, commit, commit, POST, p99", "publish to delivery, p99", "publish to delivery / bare loop", "loopback TCP"}},
		{partThroughput, []string{"bare loops a second", "events a second", "events / bare POSTs", "events / bare loops"}},
		{partHooks, []string{"bare signed POST beside hooks, p50", "hook, p50", "hook, p99", "hook, longest", "hooks that failed, of 10", "hook / bare POST"}},
		{partCost, []string{"cost: processor time", "at most, measured", "processors that others leave"}},
		{partSpread, []string{"events a second to 20 targets", "spread / one target"}},
		{partNeighbour, []string{
			"one fails at once: control, p99", "hangs to its 5 s timeout: p99 / control", "hangs to its 5 s timeout: p99 of a tenth / control", "fails at once: held, of 10", "drips to its 5 s timeout: calls at once",
			"takes 900 ms, p50", "60 s timeout, 500/s: held, of 100", "at most 128: kept",
		}},
		{partBacklog, []string{"beside a healthy target, p50", "beside a backlog of 100, latest", "while the backlog drains, p99", "at most 2000: kept", "backlog drained"}},
		{partLedger, []string{"events a second, ledger of 600", "of 600 / of 600"}},
	}
	for _, tt := range tests {
		t.Run(tt.part, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			p := small(tt.part)
			if tt.part == partNeighbour || tt.part == partBacklog {
				p.rounds = 1
			}
			if err := running(t, p, &out).measure(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the report lacks %q:\n%s", want, out.String())
				}
			}
			if strings.Contains(out.String(), " 0.00 ms ") {
				t.Errorf("a latency of nothing:\n%s", out.String())
			}
		})
	}
}

// TestFill: what is written past Callout is what Callout reads.
func TestFill(t *testing.T) {
	b := running(t, small(), io.Discard)
	for _, tt := range []struct{ total, want int }{{700, 700}, {1300, 1300}, {1000, 1300}} {
		if err := b.fill(t.Context(), tt.total); err != nil {
			t.Fatal(err)
		}
		if n, err := b.client.delivered(t.Context()); err != nil || n != tt.want {
			t.Errorf("filled to %d: %d, want %d: %v", tt.total, n, tt.want, err)
		}
	}
	var page struct {
		Deliveries []struct {
			State    string `json:"state"`
			Target   string `json:"targetId"`
			Attempts []struct {
				Status int `json:"status"`
			} `json:"attempts"`
		} `json:"deliveries"`
	}
	if err := b.client.send(t.Context(), "POST", "/v1/deliveries/search", `{"filter":{"target":"filled007","states":["delivered"]}}`, &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Deliveries) != 2 || page.Deliveries[0].Target != "filled007" || len(page.Deliveries[0].Attempts) != 1 || page.Deliveries[0].Attempts[0].Status != 200 {
		t.Errorf("found %+v", page.Deliveries)
	}
}

// BenchmarkEvents is for profiles: an event from the request to the receiver, all in one process.
func BenchmarkEvents(b *testing.B) {
	p := small()
	p.events, p.batch, p.senders = b.N, 100, 8
	bench := running(b, p, io.Discard)
	b.ResetTimer()
	rate, err := bench.throughput(b.Context(), always(happened))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(rate, "events/s")
}
