package command

import (
	"testing"
	"time"
)

func TestMoments(t *testing.T) {
	zone := time.FixedZone("somewhere", 2*60*60)
	now := time.Date(2026, 3, 4, 13, 30, 0, 0, zone)
	tests := map[string]time.Time{
		"1h":                        now.Add(-time.Hour),
		"0s":                        now,
		"90m":                       now.Add(-90 * time.Minute),
		"12:00":                     time.Date(2026, 3, 4, 12, 0, 0, 0, zone),
		"13:30:00":                  now,
		"14:00":                     time.Date(2026, 3, 3, 14, 0, 0, 0, zone), // not yet today
		"2026-03-01T00:00:00Z":      time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		"2026-03-01T00:00:00+02:00": time.Date(2026, 3, 1, 0, 0, 0, 0, zone),
	}
	for text, want := range tests {
		if got, err := moments("--since", text, now); err != nil || !got.AsTime().Equal(want) {
			t.Errorf("%s: got %v, %v, want %v", text, got.AsTime(), err, want)
		}
	}
	if got, err := moments("--since", "", now); got != nil || err != nil {
		t.Errorf("nothing: %v, %v", got, err)
	}
	for _, text := range []string{"-1h", "noon", "25:00", "2026-03-01", "1", " "} {
		if got, err := moments("--since", text, now); !isUsage(err) {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
}
