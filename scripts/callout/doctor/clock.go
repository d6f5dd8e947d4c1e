package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/callout-dev/callout/scripts/callout/access"
)

const (
	// bearableSkew is what networks and the whole seconds of an answer's date make of clocks that agree.
	bearableSkew = 3 * time.Second
	// worstSkew is when tokens are refused that have just been made or have not yet ended, and receivers begin to refuse signatures.
	worstSkew = time.Minute
)

const nextClock = "Set the clock by NTP, on that side which is wrong: tokens and signatures have times, and are refused for them."

// clock is what another one said.
type clock struct {
	whose string
	ahead time.Duration // of ours; negative if it is behind
}

// ahead compares the date of an answer, a whole second that was cut off, with the middle of the exchange.
func ahead(date, began time.Time, took time.Duration) time.Duration {
	return date.Add(time.Second / 2).Sub(began.Add(took / 2))
}

// clocksAgree compares the clocks that were seen on the way, and the token's times.
func clocksAgree(_ context.Context, p *Patient) Finding {
	if len(p.clocks) == 0 {
		return skipped("nobody answered with a date")
	}
	var said []string
	var worst time.Duration
	seen := map[string]bool{}
	for _, c := range p.clocks {
		if !seen[c.whose] {
			seen[c.whose] = true
			said = append(said, describe(c))
		}
		worst = max(worst, c.ahead.Abs())
	}
	if claims, ok := access.ReadClaims(p.token); ok && !claims.Issued.IsZero() {
		early := time.Until(claims.Issued)
		if early > bearableSkew {
			said = append(said, fmt.Sprintf("the token was made %s from now", early.Round(time.Second)))
		}
		worst = max(worst, early)
	}
	text := strings.Join(said, ", ")
	switch {
	case worst > worstSkew:
		return failed(nextClock, "%s", text)
	case worst > bearableSkew:
		return warning(nextClock, "%s", text)
	}
	return fine("%s", text)
}

func describe(c clock) string {
	switch {
	case c.ahead > bearableSkew:
		return fmt.Sprintf("%s is %s ahead of this machine", c.whose, c.ahead.Round(time.Second))
	case c.ahead < -bearableSkew:
		return fmt.Sprintf("%s is %s behind this machine", c.whose, (-c.ahead).Round(time.Second))
	}
	return c.whose + " agrees with this machine"
}
