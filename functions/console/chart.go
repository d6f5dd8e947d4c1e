package console

import (
	"fmt"
	"slices"
	"strings"
	"time"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// buckets is how many parts of the time a chart shows.
const buckets = 60

// The size of a chart's drawing; pages stretch it.
const (
	chartWidth  = 600.0
	chartHeight = 100.0
)

// series counts what became of deliveries over time, by when they were made.
type series struct {
	from   time.Time
	bucket time.Duration
	counts [buckets]struct {
		all, failing     int
		attempts, failed int
		took             []float64 // of last attempts, in milliseconds
	}
}

func newSeries(from, to time.Time) *series {
	return &series{from: from, bucket: max(to.Sub(from)/buckets, time.Millisecond)}
}

// add counts a delivery by when it was made, and its last attempt by how it ended.
func (s *series) add(d *calloutv1.Delivery) {
	at := int(d.GetCreated().AsTime().Sub(s.from) / s.bucket)
	c := &s.counts[min(max(at, 0), buckets-1)]
	c.all++
	if len(d.Attempts) == 0 {
		return
	}
	last := d.Attempts[len(d.Attempts)-1]
	c.attempts += int(d.AttemptCount)
	if c.failed += int(d.AttemptCount); last.Outcome == "success" {
		c.failed-- // all before it have failed, or it would not have been tried again; but for those that were put back by hand
	} else {
		c.failing++
	}
	c.took = append(c.took, last.DurationMs)
}

// figures are the share of failures in percent, and the median and the 95th percentile of the latency.
func (s *series) figures() (share, median, slow string) {
	var failed, attempts int
	var took []float64
	for _, c := range s.counts {
		failed, attempts = failed+c.failed, attempts+c.attempts
		took = append(took, c.took...)
	}
	if len(took) == 0 {
		return "–", "–", "–"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(failed)/float64(max(attempts, 1))), milliseconds(quantile(took, 0.5)),
		milliseconds(quantile(took, 0.95))
}

// quantile is that of values, which it sorts. There must be one.
func quantile(values []float64, q float64) float64 {
	slices.Sort(values)
	return values[min(int(q*float64(len(values))), len(values)-1)]
}

// chart is a drawing of bars or lines. Text says for those who do not see it what it shows.
type chart struct {
	Title, Text, Top string
	From             string
	Bars             []bar
	Lines            []line
}

// bar is one part of the time: its height, and how much of that is failures.
type bar struct{ X, Width, Y, Height, FailedY, FailedHeight string }

type line struct{ Name, Points string }

func (s *series) charts() []chart {
	return []chart{s.rate(), s.share(), s.latency()}
}

func (s *series) rate() chart {
	most := 1
	var all int
	for _, c := range s.counts {
		most, all = max(most, c.all), all+c.all
	}
	ch := chart{Title: "Deliveries", Top: fmt.Sprintf("%d in %s", most, width(s.bucket)), From: s.label()}
	ch.Text = fmt.Sprintf("%d deliveries since %s, %d in the busiest %s", all, s.label(), most, width(s.bucket))
	for i, c := range s.counts {
		if c.all > 0 {
			ch.Bars = append(ch.Bars, newBar(i, float64(c.all)/float64(most), float64(c.failing)/float64(most)))
		}
	}
	return ch
}

func (s *series) share() chart {
	ch := chart{Title: "Failed attempts", Top: "100 %", From: s.label()}
	share, _, _ := s.figures()
	ch.Text = "Share of attempts that failed: " + share
	for i, c := range s.counts {
		if c.failed > 0 {
			part := float64(c.failed) / float64(c.attempts)
			ch.Bars = append(ch.Bars, newBar(i, part, part))
		}
	}
	return ch
}

func (s *series) latency() chart {
	var most float64
	for _, c := range s.counts {
		if len(c.took) > 0 {
			most = max(most, quantile(c.took, 0.95))
		}
	}
	_, median, slow := s.figures()
	ch := chart{Title: "Latency", Top: "–", From: s.label(), Text: "Median " + median + ", 95th percentile " + slow}
	if most == 0 {
		return ch
	}
	ch.Top = milliseconds(most)
	for _, l := range []struct {
		name string
		q    float64
	}{{"median", 0.5}, {"slow", 0.95}} {
		var points strings.Builder
		for i, c := range s.counts {
			if len(c.took) > 0 {
				fmt.Fprintf(&points, "%.1f,%.1f ", (float64(i)+0.5)*chartWidth/buckets, chartHeight*(1-0.96*quantile(c.took, l.q)/most))
			}
		}
		ch.Lines = append(ch.Lines, line{l.name, dotted(strings.TrimSpace(points.String()))})
	}
	return ch
}

// dotted makes a line of one point long enough to be seen.
func dotted(points string) string {
	x, y, ok := strings.Cut(points, ",")
	if !ok || strings.Contains(points, " ") {
		return points
	}
	var at float64
	_, _ = fmt.Sscanf(x, "%f", &at) // it was written above
	return fmt.Sprintf("%.1f,%s %.1f,%s", at-4, y, at+4, y)
}

// newBar draws a part and how much of it failed, both of the chart's whole height.
func newBar(i int, part, failed float64) bar {
	number := func(f float64) string { return fmt.Sprintf("%.1f", f) }
	const gap = 2
	step := chartWidth / buckets
	height, failedHeight := max(part*chartHeight, 1.5), failed*chartHeight
	return bar{
		X: number(float64(i)*step + gap/2), Width: number(step - gap), Y: number(chartHeight - height), Height: number(height),
		FailedY: number(chartHeight - failedHeight), FailedHeight: number(failedHeight),
	}
}

// label says when the chart begins, as a clock does.
func (s *series) label() string { return s.from.UTC().Format("15:04:05") + " UTC" }

// width is that of a bucket.
func width(d time.Duration) string {
	if d >= time.Minute {
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	if d >= time.Second {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
}
