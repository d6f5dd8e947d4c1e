package console

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
)

// The cookies. The prefix has browsers take them from this host alone, for all of it, and over https; over http from loopback alone.
const (
	sessionCookie = "__Host-callout"        // a session's reference
	attemptCookie = "__Host-callout-signin" // a sign-in that has begun
	noteCookie    = "__Host-callout-note"   // what the next page says once
)

const (
	// sessionTime is how long a session lasts at the most, however often its token is renewed.
	sessionTime = 12 * time.Hour
	// renewBefore is how long before its end a token is renewed.
	renewBefore = time.Minute
)

// session is somebody who has signed in, in one browser.
type session struct {
	auth.Person
	instance  action.InstanceID
	reference string
	ends      time.Time
}

var errNoSession = errs.New(errs.Unauthenticated, "", "nobody has signed in")

// begin keeps a new session, and gives the browser its reference. Whoever had one before has another one now.
func (c *Console) begin(w http.ResponseWriter, r *http.Request, who auth.Person) error {
	s := session{Person: who, instance: c.instance(r), reference: rand.Text(), ends: time.Now().Add(sessionTime)}
	if who.Refresh == "" && !who.Expires.IsZero() && who.Expires.Before(s.ends) {
		s.ends = who.Expires
	}
	content, err := json.Marshal(s.Person)
	if err != nil {
		return err
	}
	if err := c.Sessions.PutSession(r.Context(), s.instance, s.reference, string(content), s.ends); err != nil {
		return err
	}
	return c.setCookie(w, sessionCookie, placeOfCookie(sessionCookie, string(s.instance)), s.reference, 0)
}

// replace keeps other tokens of a session. Where somebody has signed out meanwhile, the session stays ended, and they are revoked.
func (c *Console) replace(ctx context.Context, s session) error {
	content, err := json.Marshal(s.Person)
	if err != nil {
		return err
	}
	err = c.Sessions.ReplaceSession(ctx, s.instance, s.reference, string(content))
	if errs.Is(err, errs.NotFound) {
		return errNoSession.Because(c.Party.Revoke(ctx, s.Person))
	}
	return err
}

// current is the session of a request's browser, with a token that is good for a while: Unauthenticated where there is none.
func (c *Console) current(r *http.Request) (session, error) {
	s := session{instance: c.instance(r)}
	var ok bool
	if s.reference, ok = c.cookie(r, sessionCookie, placeOfCookie(sessionCookie, string(s.instance))); !ok || c.Party == nil {
		return s, errNoSession
	}
	if err := c.load(r.Context(), &s); err != nil {
		return s, err
	}
	if s.Expires.IsZero() || time.Until(s.Expires) > renewBefore || s.Refresh == "" && time.Now().Before(s.Expires) {
		return s, nil
	}
	return s, c.renew(r.Context(), &s)
}

func (c *Console) load(ctx context.Context, s *session) error {
	content, ends, err := c.Sessions.Session(ctx, s.instance, s.reference)
	if errs.Is(err, errs.NotFound) {
		return errNoSession
	}
	if err != nil {
		return err
	}
	s.ends, s.Person = ends, auth.Person{}
	return json.Unmarshal([]byte(content), &s.Person)
}

// renew gets another token. Requests that come together get the one of the first: an issuer may take it for theft that a refresh token
// is used twice. Another process may have been faster all the same, and what the issuer refuses then is there already.
func (c *Console) renew(ctx context.Context, s *session) error {
	stale := s.Access
	result, err, _ := c.renewals.Do(s.reference, func() (any, error) {
		ctx := context.WithoutCancel(ctx) // others wait for it
		fresh := *s
		if err := c.load(ctx, &fresh); err != nil || fresh.Access != stale {
			return fresh, err
		}
		who, err := c.Party.Renew(ctx, fresh.Person)
		if err == nil {
			fresh.Person = who
			return fresh, c.replace(ctx, fresh)
		}
		if !errs.Is(err, errs.Unauthenticated) {
			return fresh, err
		}
		if loadErr := c.load(ctx, &fresh); loadErr != nil || fresh.Access == stale {
			return fresh, errNoSession.Because(err)
		}
		return fresh, nil
	})
	*s = result.(session)
	return err
}

// placeOfCookie is what a cookie is sealed for. It can be read in it.
func placeOfCookie(name, whose string) string { return "console/cookies/" + name + "#" + whose }

// setCookie seals a value into a cookie. Age 0 is until the browser is closed.
func (c *Console) setCookie(w http.ResponseWriter, name, place, value string, age time.Duration) error {
	sealed, err := c.Sealer.Seal(place, value)
	if err != nil {
		return err
	}
	// Lax, not strict: whoever comes back from the issuer is sent by another site.
	http.SetCookie(w, &http.Cookie{Name: name, Value: sealed, Path: "/", MaxAge: int(age.Seconds()), Secure: true, HttpOnly: true,
		SameSite: http.SameSiteLaxMode})
	return nil
}

// cookie opens a cookie that was sealed for that place.
func (c *Console) cookie(r *http.Request, name, place string) (string, bool) {
	cookie, err := r.Cookie(name)
	if err != nil {
		return "", false
	}
	value, err := c.Sealer.Open(place, cookie.Value)
	return value, err == nil
}

func dropCookie(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{Name: name, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}
