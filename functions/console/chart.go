package console

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// buckets is how many parts of the time a chart shows, where all of it is known.
const buckets = 60

// The size of a chart's drawing; pages stretch it.
const (
	chartWidth  = 600.0
	chartHeight = 100.0
)

// weighted is a value that stands for so many.
type weighted struct{ value, weight float64 }

// quantile is that of values, which it sorts. There must be one.
func quantile(values []weighted, q float64) float64 {
	slices.SortFunc(values, func(a, b weighted) int { return cmp.Compare(a.value, b.value) })
	var all, below float64
	for _, v := range values {
		all += v.weight
	}
	for _, v := range values {
		if below += v.weight; below > q*all {
			return v.value
		}
	}
	return values[len(values)-1].value
}

// rounded writes a number of which the first two digits are known.
func rounded(n float64) string {
	if n < 100 {
		return fmt.Sprintf("%.0f", n)
	}
	unit := math.Pow(10, math.Floor(math.Log10(n))-1)
	text := fmt.Sprintf("%.0f", math.Round(n/unit)*unit)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "\u202f" + text[at:]
	}
	return text
}

// rate says how many there were a minute; an hour where they were few, and a second where they were many.
func rate(n float64, in time.Duration) string {
	switch perMinute := n / in.Minutes(); {
	case n == 0:
		return "0 a minute"
	case perMinute < 1:
		return fmt.Sprintf("%.0f an hour", n/in.Hours())
	case perMinute < 600:
		return rounded(perMinute) + " a minute"
	}
	return rounded(n/in.Seconds()) + " a second"
}

// chart is a drawing of bars or lines. Text says for those who do not see it what it shows.
type chart struct {
	Title, Text, Top string
	From             string
	// Legend names the lines, the first one drawn through.
	Legend []string
	Bars   []bar
	Lines  []line
}

// bar is one part of the time: its height, and how much of that is failures.
type bar struct{ X, Width, Y, Height, FailedY, FailedHeight string }

type line struct{ Name, Points string }

func (s *series) charts() []chart {
	return []chart{s.rate(), s.share(), s.latency()}
}

func (s *series) rate() chart {
	var most float64
	for _, c := range s.counts {
		most = max(most, c.weight*float64(c.all))
	}
	ch := chart{Title: "Deliveries", Top: rate(most, s.bucket), From: s.label()}
	ch.Text = fmt.Sprintf("Deliveries since %s: %s at the most", s.label(), ch.Top)
	for i, c := range s.counts {
		if c.all > 0 {
			ch.Bars = append(ch.Bars, s.bar(i, c.weight*float64(c.all)/most, c.weight*float64(c.failing)/most))
		}
	}
	return ch
}

func (s *series) share() chart {
	ch := chart{Title: "Failed attempts", Top: "100 %", From: s.label()}
	share, _, _ := s.figures()
	ch.Text = "Share of attempts that failed since " + s.label() + ": " + share
	for i, c := range s.counts {
		if c.failed > 0 {
			part := float64(c.failed) / float64(c.attempts)
			ch.Bars = append(ch.Bars, s.bar(i, part, part))
		}
	}
	return ch
}

func (s *series) latency() chart {
	of := func(c counts, q float64) float64 {
		values := make([]weighted, len(c.took))
		for i, ms := range c.took {
			values[i] = weighted{ms, 1}
		}
		return quantile(values, q)
	}
	var most float64
	for _, c := range s.counts {
		if len(c.took) > 0 {
			most = max(most, of(c, 0.95))
		}
	}
	_, median, slow := s.figures()
	ch := chart{Title: "Latency", Top: "–", From: s.label(), Text: "Latency since " + s.label() + ": median " + median +
		", 95th percentile " + slow, Legend: []string{"median", "95 %"}}
	if most == 0 {
		return ch
	}
	ch.Top = milliseconds(most)
	for _, l := range []struct {
		name string
		q    float64
	}{{"slow", 0.95}, {"median", 0.5}} {
		var points []string
		for i, c := range s.counts {
			if len(c.took) > 0 {
				x := (float64(i) + 0.5) * chartWidth / float64(len(s.counts))
				points = append(points, fmt.Sprintf("%.1f,%.1f", x, chartHeight*(1-0.96*of(c, l.q)/most)))
			}
		}
		if len(points) == 1 { // a line without length is a dot, if it is round at its ends
			l.name, points = l.name+" dot", append(points, points...)
		}
		ch.Lines = append(ch.Lines, line{l.name, strings.Join(points, " ")})
	}
	return ch
}

// bar draws a part and how much of it failed, both of the chart's whole height.
func (s *series) bar(i int, part, failed float64) bar {
	number := func(f float64) string { return fmt.Sprintf("%.1f", f) }
	const gap = 2
	step := chartWidth / float64(len(s.counts))
	height, failedHeight := max(part*chartHeight, 1.5), failed*chartHeight
	return bar{
		X: number(float64(i)*step + gap/2), Width: number(step - gap), Y: number(chartHeight - height), Height: number(height),
		FailedY: number(chartHeight - failedHeight), FailedHeight: number(failedHeight),
	}
}

// label says when the chart begins, as a clock does.
func (s *series) label() string { return s.from.UTC().Format("15:04") + " UTC" }
