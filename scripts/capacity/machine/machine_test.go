package machine

import (
	"math"
	"testing"
)

func TestFit(t *testing.T) {
	tests := map[string]struct {
		loads []Load
		want  Line
	}{
		"two rates":                 {[]Load{{100, 0.25}, {300, 0.55}}, Line{0.1, 0.0015}},
		"three that fit":            {[]Load{{400, 0.7}, {100, 0.25}, {200, 0.4}}, Line{0.1, 0.0015}},
		"three that do not":         {[]Load{{100, 0.2}, {200, 0.5}, {300, 0.5}}, Line{0.1, 0.0015}},
		"batches that cost nothing": {[]Load{{100, 0.1}, {200, 0.2}}, Line{0, 0.001}},
	}
	for name, tt := range tests {
		got, err := Fit(tt.loads)
		if err != nil || math.Abs(got.Fixed-tt.want.Fixed) > 1e-9 || math.Abs(got.Event-tt.want.Event) > 1e-9 {
			t.Errorf("%s: %+v, want %+v: %v", name, got, tt.want, err)
		}
	}
	for name, loads := range map[string][]Load{"nothing": nil, "one rate": {{100, 1}}, "one rate twice": {{100, 1}, {100, 2}}, "falling": {{100, 2}, {200, 1}}} {
		if line, err := Fit(loads); err == nil {
			t.Errorf("%s: %+v", name, line)
		}
	}
}

// TestMost: what is fixed is paid once, however many processors there are.
func TestMost(t *testing.T) {
	line := Line{Fixed: 0.2, Event: 0.001}
	for processors, want := range map[float64]float64{2: 1800, 1: 800, 0.2: 0, 0.1: 0} {
		if got := line.Most(processors); math.Abs(got-want) > 1e-6 {
			t.Errorf("%g processors: %g events/s, want %g", processors, got, want)
		}
	}
}
