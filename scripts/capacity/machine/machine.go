// Package machine predicts how many events a second one machine does from what its processors do at rates that it has no trouble with. What
// is worked off in batches costs less for each event the more there is to do, so the processor time of one event at one low rate says too
// little: the line through several rates has what is there anyway apart from what a further event adds.
package machine

import "errors"

// Load is what was seen at one rate.
type Load struct {
	Rate float64 // events a second
	Busy float64 // processors: seconds of processor time in each second, of all that has to do with events
}

// Line is processor time as a function of the rate.
type Line struct {
	Fixed float64 // processors, at any rate
	Event float64 // seconds of processor time that a further event adds
}

var errLine = errors.New("no line: processor time must be known at two rates at least, and be more at the higher one")

// Fit gives the line with the least squares of errors.
func Fit(loads []Load) (Line, error) {
	var n, rates, busy float64
	for _, l := range loads {
		n, rates, busy = n+1, rates+l.Rate, busy+l.Busy
	}
	var over, under float64
	for _, l := range loads {
		over += (l.Rate - rates/n) * (l.Busy - busy/n)
		under += (l.Rate - rates/n) * (l.Rate - rates/n)
	}
	if under == 0 || over <= 0 {
		return Line{}, errLine
	}
	line := Line{Event: over / under}
	line.Fixed = busy/n - line.Event*rates/n
	return line, nil
}

// Most is how many events a second so many processors do at most, those that others leave.
func (l Line) Most(processors float64) float64 { return max((processors-l.Fixed)/l.Event, 0) }
