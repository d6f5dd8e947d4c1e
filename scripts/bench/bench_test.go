package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/shared/logging"
)

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for n := 100; n >= 1; n-- {
		hundred = append(hundred, time.Duration(n)*time.Millisecond)
	}
	tests := []struct {
		name      string
		durations []time.Duration
		p         int
		want      float64
	}{
		{"median of a hundred", hundred, 50, 50},
		{"99th of a hundred", hundred, 99, 99},
		{"99th of one", hundred[:1], 99, 100},
		{"of none", nil, 50, 0},
	}
	for _, tt := range tests {
		if got := percentile(tt.durations, tt.p); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestSeriesShowsMedianAndRange(t *testing.T) {
	got := series{3, 1, 2}.format("ms")
	if !strings.Contains(got, "2.00 ms") || !strings.Contains(got, "[1.00 .. 3.00]") {
		t.Errorf("got %q", got)
	}
}

func TestPlanIsChecked(t *testing.T) {
	good := plan{rounds: 1, rate: 1, latencyTime: time.Second, events: 1, batch: 1, senders: 1, payload: 1}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*plan){
		"rounds": func(p *plan) { p.rounds = 0 }, "batch": func(p *plan) { p.batch = 1001 }, "payload": func(p *plan) { p.payload = 1 << 20 },
	} {
		p := good
		change(&p)
		if p.check() == nil {
			t.Errorf("%s out of range was taken", name)
		}
	}
}

// running is an installation on a temporary folder, with a receiver that gets its events.
func running(t testing.TB) (*client, *receiver) {
	t.Helper()
	const free = "127.0.0.1:0"
	data := t.TempDir()
	l, err := local.Start(t.Context(), local.Config{Listen: free, Issuer: free, Data: data, EgressAllow: local.DefaultEgressAllow, Log: logging.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	c, err := connect(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	r, err := newReceiver()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	if err := c.route(t.Context(), r.url()); err != nil {
		t.Fatal(err)
	}
	return c, r
}

// A run too small to say anything, against a real installation: every number is there.
func TestMeasure(t *testing.T) {
	c, r := running(t)
	var out bytes.Buffer
	p := plan{rounds: 2, rate: 50, latencyTime: 200 * time.Millisecond, events: 100, batch: 20, senders: 2, payload: 600}
	if err := measure(t.Context(), &out, p, c, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"bare signed POST, p50", "publish to delivery, p99", "events a second", "events / bare POSTs"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), " 0.00 ms ") {
		t.Errorf("a latency of nothing:\n%s", out.String())
	}
}

// BenchmarkEvents is for profiles: an event from the request to the receiver, all in one process.
func BenchmarkEvents(b *testing.B) {
	c, r := running(b)
	p := plan{events: b.N, batch: 100, senders: 8, payload: 600}
	b.ResetTimer()
	rate, err := throughput(b.Context(), p, c, r, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(rate, "events/s")
}
