// Package doctor examines an installation: from outside through its API and its issuer, and where it is said where they are, its database
// and its queue. It changes nothing, and what it finds holds no secret.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/callout-dev/callout/shared/egress"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/store"
)

// Verdict is what a check comes to.
type Verdict string

// The verdicts. What is skipped could not be looked at, because something that it needs was not told or has failed.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning"
	Failed  Verdict = "failed"
	Skipped Verdict = "skipped"
)

// Finding is the result of one check.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	// Says is what was found, and Next what to do about it.
	Says string `json:"says"`
	Next string `json:"next,omitempty"`
}

func fine(format string, args ...any) Finding {
	return Finding{Verdict: OK, Says: fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) Finding {
	return Finding{Verdict: Skipped, Says: fmt.Sprintf(format, args...)}
}

func failed(next, format string, args ...any) Finding {
	return Finding{Verdict: Failed, Says: fmt.Sprintf(format, args...), Next: next}
}

func warning(next, format string, args ...any) Finding {
	return Finding{Verdict: Warning, Says: fmt.Sprintf(format, args...), Next: next}
}

// Patient is an installation, as far as it is known.
type Patient struct {
	// API has no slash at its end. Issuer is "" where nobody said it.
	API, Issuer string
	// Tokens gets a token; nil where nobody said who is calling.
	Tokens func(ctx context.Context) (oauth2.TokenSource, error)
	// Network is how the API and the issuer are reached.
	Network http.RoundTripper
	// Explain words an error of theirs, and says what to do about it.
	Explain func(error) (message, next string)

	// Config is the configuration of the functions, and Source what it was read from; "" where nothing says it.
	Config env.Config
	Source string
	// Local: it is the server on this machine, and Config what that makes of itself.
	Local bool
	// Broken is what is wrong with it, "" if nothing; what stands in Config is not looked at then.
	Broken string
	// Services reaches the database and the queue.
	Services env.Network
	// Resolver finds the addresses of targets; nil is the system's.
	Resolver egress.Resolver

	reached bool // the API has answered
	token   string
	caller  *http.Client // calls the API with the token; nil where it takes none
	clocks  []clock
	store   *store.Store // nil where Firestore does not answer
	closers []func() error
}

// check is one question.
type check struct {
	name   string
	within time.Duration
	ask    func(ctx context.Context, p *Patient) Finding
}

// checks are all there are, in an order in which the earlier explain the later.
func checks() []check {
	return []check{
		{"configuration", time.Second, configuration},
		{"api", 10 * time.Second, api},
		{"issuer", 15 * time.Second, issuer},
		{"token", 15 * time.Second, token},
		{"permissions", 20 * time.Second, permissions},
		{"clock", time.Second, clocksAgree},
		{"payload keys", 10 * time.Second, payloadKeys},
		{"firestore", 10 * time.Second, database},
		{"indexes", 30 * time.Second, indexes},
		{"seal keys", 30 * time.Second, sealKeys},
		{"pub/sub", 30 * time.Second, queues},
		{"egress", 30 * time.Second, endpoints},
	}
}

// Examine makes all checks, one after the other, each bounded in time, and tells each finding when it is there. It ends early with ctx.
func (p *Patient) Examine(ctx context.Context, tell func(Finding) error) error {
	defer func() {
		for _, close := range p.closers {
			_ = close() // nothing was written
		}
	}()
	for _, c := range checks() {
		within, cancel := context.WithTimeout(ctx, c.within)
		found := c.ask(within, p)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		found.Check = c.name
		if err := tell(found); err != nil {
			return err
		}
	}
	return nil
}

// configuration says where the rest of what is known comes from.
func configuration(_ context.Context, p *Patient) Finding {
	switch {
	case p.Broken != "":
		return failed("Mend the variables: every function refuses to start with them.", "%s: %s", p.Source, strings.ReplaceAll(p.Broken, "\n", "; "))
	case p.Source == "":
		return Finding{Verdict: Skipped, Says: "nothing says where Firestore and Pub/Sub are: only what is seen from outside is checked",
			Next: "To check the rest, give the environment of the functions: GOOGLE_CLOUD_PROJECT, CALLOUT_DATABASE, CALLOUT_SEAL_KEYS, CALLOUT_EGRESS_ALLOW."}
	case p.Config.Issuer != "" && p.Issuer != "" && p.Config.Issuer != p.Issuer:
		return warning("Give the same one with --issuer and in CALLOUT_ISSUER.",
			"the functions take tokens of %s, and the one for this check comes from %s", p.Config.Issuer, p.Issuer)
	}
	return fine("project %s, database %s, of %s", p.Config.Project, p.Config.DatabaseID, p.Source)
}

// known says whether there is a configuration to go by.
func (p *Patient) known() bool { return p.Source != "" && p.Broken == "" }

// reason words an error of a service of ours by its cause: whoever examines an installation may know it.
func reason(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return oneLine(err.Error())
		}
		err = next
	}
}

// count says how many, in words that fit one too.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// oneLine keeps an error of several lines, or of a page, short.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > 300 {
		return string(runes[:300]) + "…"
	}
	return text
}
