package ledger

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Schedule lists the waits after the first, second, … failed attempt; when it is used up, the delivery is dead.
type Schedule []time.Duration

// DefaultSchedule is that of callout.md section 7.
func DefaultSchedule() Schedule {
	return Schedule{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
		2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 24 * time.Hour}
}

const (
	maxWaits = 24 // with the first attempt as many as a delivery remembers
	maxWait  = 7 * 24 * time.Hour
)

// ParseSchedule reads "5s,30s,…": 1 to 24 waits, each more than nothing and at most 168h.
func ParseSchedule(text string) (Schedule, error) {
	var s Schedule
	for entry := range strings.SplitSeq(text, ",") {
		wait, err := time.ParseDuration(strings.TrimSpace(entry))
		if err != nil || wait <= 0 || wait > maxWait {
			return nil, fmt.Errorf("retry schedule: %q is no duration between 0 and %s", entry, maxWait)
		}
		s = append(s, wait)
	}
	if len(s) > maxWaits {
		return nil, fmt.Errorf("retry schedule: more than %d waits", maxWaits)
	}
	return s, nil
}

// Longest is how long all waits may take together.
func (s Schedule) Longest() time.Duration {
	var sum time.Duration
	for _, wait := range s {
		sum += wait + wait/10
	}
	return sum
}

// wait is how long after the n-th failed attempt, counting from 1, the next one is due; false when there is none.
func (s Schedule) wait(n int) (time.Duration, bool) {
	if n < 1 || n > len(s) {
		return 0, false
	}
	return s[n-1], true
}

// Jitter moves a wait by up to a tenth in either direction, so that what failed together does not come back together.
func Jitter(wait time.Duration) time.Duration {
	tenth := int64(wait / 10)
	return wait + time.Duration(rand.Int64N(2*tenth+1)-tenth)
}
