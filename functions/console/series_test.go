package console

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

func delivery(made time.Time, state, outcome string, attempts int, ms float64) *calloutv1.Delivery {
	return &calloutv1.Delivery{Created: timestamppb.New(made), State: state, AttemptCount: int32(attempts),
		Attempts: []*calloutv1.Attempt{{Outcome: outcome, DurationMs: ms}}}
}

func TestSeries(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	s := newSeries(now.Add(-hour), now, buckets)
	for i, d := range []*calloutv1.Delivery{
		delivery(now, "delivered", "success", 1, 10), // at the very end
		delivery(now.Add(-hour), "delivered", "success", 3, 20),
		delivery(now.Add(-30*time.Minute), "dead", "failed", 4, 4000),
		delivery(now.Add(-2*hour), "pending", "", 0, 0), // before it began, by a clock that is behind
	} {
		if d.AttemptCount == 0 {
			d.Attempts = nil
		}
		if s.add(d); s.read() != i+1 {
			t.Fatalf("%d are read after %d", s.read(), i+1)
		}
	}
	share, median, slow := s.figures()
	if share != "75.0 %" || median != "20 ms" || slow != "4.0 s" {
		t.Errorf("%s failed, %s and %s", share, median, slow)
	}
	tiles := s.tiles(false)
	for i, want := range []string{"4", "2", "1", "1", "75.0 %", "20 ms"} {
		if tiles[i].Value != want || tiles[i].Alarm != (tiles[i].Title == "Dead") {
			t.Errorf("%s: %+v, want %s", tiles[i].Title, tiles[i], want)
		}
	}
	charts := s.charts()
	if len(charts[0].Bars) != 3 || charts[0].Top != "2 a minute" || len(charts[1].Bars) != 2 || len(charts[2].Lines) != 2 {
		t.Errorf("%+v", charts)
	}
}

// What is read of a busy hour stands for all of it.
func TestEstimates(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	s := newSeries(now.Add(-hour), now, windows)
	for range 20 { // in the last six seconds of five minutes
		s.counts[11].add(delivery(now, "delivered", "success", 1, 10))
	}
	s.counts[11].standFor(5*time.Minute, 6*time.Second)
	for range 10 { // all of a quiet window
		s.counts[0].add(delivery(now, "dead", "failed", 1, 1000))
	}
	tiles := s.tiles(true)
	for i, want := range []string{"≈ 1\u202f000", "≈ 1\u202f000", "≈ 0", "≈ 10", "1.0 %", "10 ms"} {
		if tiles[i].Value != want {
			t.Errorf("%s: %s, want %s", tiles[i].Title, tiles[i].Value, want)
		}
	}
	s.counts[3].standFor(time.Minute, 0) // all at one moment
	if top := s.charts()[0].Top; top != "200 a minute" {
		t.Errorf("at the most %s", top)
	}
}

func TestNothingInTheHour(t *testing.T) {
	s := newSeries(time.Now().Add(-hour), time.Now(), buckets)
	if share, median, slow := s.figures(); share+median+slow != "–––" {
		t.Error(share, median, slow)
	}
	for _, c := range s.charts() {
		if len(c.Bars) > 0 || strings.Contains(c.Text, "NaN") {
			t.Errorf("%+v", c)
		}
	}
}

func TestRate(t *testing.T) {
	for _, tt := range []struct {
		n    float64
		want string
	}{{0, "0 a minute"}, {2, "2 an hour"}, {59, "59 an hour"}, {120, "2 a minute"}, {3600 * 5, "300 a minute"}, {36000, "10 a second"},
		{3600 * 1234567, "1\u202f200\u202f000 a second"}} {
		if got := rate(tt.n, hour); got != tt.want {
			t.Errorf("%v in an hour: %s, want %s", tt.n, got, tt.want)
		}
	}
}
