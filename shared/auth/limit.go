package auth

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// Limited names what may be limited.
type Limited string

// What CALLOUT_RATE_LIMITS may name.
const (
	LimitPublish Limited = "publish" // requests with events, each of which may hold many
	LimitInvoke  Limited = "invoke"  // hooks
)

// Limit is how many calls one caller may make in a time: so many at once, and then as they are made good evenly over that time. The zero
// value is no limit.
type Limit struct {
	Calls int
	Per   time.Duration
}

const maxCalls = 1_000_000

func units() map[string]time.Duration {
	return map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}
}

// String is the limit as CALLOUT_RATE_LIMITS has it.
func (l Limit) String() string {
	for name, unit := range units() {
		if l.Per == unit {
			return fmt.Sprintf("%d/%s", l.Calls, name)
		}
	}
	return fmt.Sprintf("%d/%s", l.Calls, l.Per)
}

// Limits are those of each thing that is limited.
type Limits map[Limited]Limit

// UnmarshalText reads CALLOUT_RATE_LIMITS: "publish=100/s,invoke=6000/m"; the units are s, m and h.
func (l *Limits) UnmarshalText(text []byte) error {
	read := Limits{}
	for entry := range strings.SplitSeq(string(text), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(entry), "=")
		calls, unit, _ := strings.Cut(value, "/")
		limited, per := Limited(name), units()[unit]
		n, err := strconv.ParseUint(calls, 10, 32)
		switch {
		case limited != LimitPublish && limited != LimitInvoke:
			return fmt.Errorf("%q: want publish=N/UNIT or invoke=N/UNIT", entry)
		case err != nil || n < 1 || n > maxCalls || per == 0:
			return fmt.Errorf("%q: want N/UNIT: N is 1 to %d, UNIT is s, m or h", entry, maxCalls)
		case read[limited] != Limit{}:
			return fmt.Errorf("%s is named twice", limited)
		}
		read[limited] = Limit{Calls: int(n), Per: per}
	}
	*l = read
	return nil
}

// maxCallers is how many callers a limiter remembers; of more it forgets those that have been quiet longest.
const maxCallers = 10000

// Limiter holds each caller to a limit, in this process. It is safe for use by several goroutines.
type Limiter struct {
	limit Limit

	mu      sync.Mutex
	buckets *simplelru.LRU[callerID, *rate.Limiter]
}

// callerID tells callers apart: a subject has its calls on each instance.
type callerID struct {
	instance action.InstanceID
	subject  string
}

// NewLimiter makes a limiter; nil where there is no limit.
func NewLimiter(limit Limit) *Limiter {
	if limit == (Limit{}) {
		return nil
	}
	buckets, _ := simplelru.NewLRU[callerID, *rate.Limiter](maxCallers, nil) // fails for sizes below one alone
	return &Limiter{limit: limit, buckets: buckets}
}

// Take counts one call of a caller. Over the limit it is ResourceExhausted, which says when to come again, and nothing is counted. A nil
// limiter lets everything pass.
func (l *Limiter) Take(c Caller) error {
	if l == nil {
		return nil
	}
	now := time.Now()
	reservation := l.bucket(callerID{c.Instance, c.Subject}).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	reservation.CancelAt(now)
	return errs.Newf(errs.ResourceExhausted, "over the limit of %s calls of one caller; try again later", l.limit).RetryIn(wait)
}

func (l *Limiter) bucket(id callerID) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets.Get(id)
	if !ok {
		b = rate.NewLimiter(rate.Limit(float64(l.limit.Calls)/l.limit.Per.Seconds()), l.limit.Calls)
		l.buckets.Add(id, b)
	}
	return b
}
