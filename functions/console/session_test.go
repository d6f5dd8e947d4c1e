package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/seal"
)

// shelf keeps sessions in memory.
type shelf struct {
	mu  sync.Mutex
	all map[string]string
}

func (s *shelf) PutSession(_ context.Context, _ action.InstanceID, reference, content string, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[reference] = content
	return nil
}

func (s *shelf) ReplaceSession(_ context.Context, _ action.InstanceID, reference, content string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.all[reference]; !ok {
		return errs.New(errs.NotFound, "", "gone")
	}
	s.all[reference] = content
	return nil
}

func (s *shelf) Session(_ context.Context, _ action.InstanceID, reference string) (string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, ok := s.all[reference]
	if !ok {
		return "", time.Time{}, errs.New(errs.NotFound, "", "gone")
	}
	return content, time.Now().Add(time.Hour), nil
}

func (s *shelf) RemoveSession(_ context.Context, _ action.InstanceID, reference string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, reference)
	return nil
}

// office is an issuer that takes each refresh token once.
type office struct {
	renew   func(auth.Person) (auth.Person, error)
	asked   int
	mu      sync.Mutex
	revoked []string // access tokens
}

func (o *office) Begin(context.Context, string) (auth.Attempt, string, error) {
	return auth.Attempt{}, "", errors.New("not here")
}

func (o *office) Finish(context.Context, string, auth.Attempt, url.Values) (auth.Person, error) {
	return auth.Person{}, errors.New("not here")
}

func (o *office) Renew(_ context.Context, who auth.Person) (auth.Person, error) {
	o.asked++
	time.Sleep(time.Second)
	return o.renew(who)
}

func (o *office) Revoke(_ context.Context, who auth.Person) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.revoked = append(o.revoked, who.Access)
	return nil
}

// signedIn is a console, and a request of somebody whose access token ends in half a minute.
func signedIn(t *testing.T, renew func(auth.Person) (auth.Person, error)) (*Console, *office, *shelf, *http.Request) {
	t.Helper()
	sealer, err := seal.New(seal.NewKey("k1"))
	if err != nil {
		t.Fatal(err)
	}
	o, s := &office{renew: renew}, &shelf{all: map[string]string{}}
	c := &Console{Sessions: s, Sealer: sealer, Party: o, URL: "https://callout.test", Log: slog.New(slog.DiscardHandler),
		Instance: func(string) action.InstanceID { return action.DefaultInstance }}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://callout.test/console/targets", nil)
	w := httptest.NewRecorder()
	if err := c.begin(w, r, auth.Person{Subject: "ada", Access: "a1", Refresh: "r1", Expires: time.Now().Add(30 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	for _, cookie := range w.Result().Cookies() {
		r.AddCookie(cookie)
	}
	return c, o, s, r
}

func TestRenewal(t *testing.T) {
	good := func(who auth.Person) (auth.Person, error) {
		who.Access, who.Refresh, who.Expires = "a2", "r2", time.Now().Add(time.Hour)
		return who, nil
	}
	t.Run("requests that come together renew once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, o, _, r := signedIn(t, good)
			var all sync.WaitGroup
			for i := range 5 {
				all.Go(func() {
					time.Sleep(time.Duration(i) * 400 * time.Millisecond) // the last ones come when it is done
					if s, err := c.current(r); err != nil || s.Access != "a2" {
						t.Errorf("got %q %v", s.Access, err)
					}
				})
			}
			all.Wait()
			if o.asked != 1 {
				t.Errorf("the issuer was asked %d times", o.asked)
			}
		})
	})
	t.Run("another process was faster", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var kept *shelf
			c, _, kept, r := signedIn(t, func(auth.Person) (auth.Person, error) {
				for reference := range kept.all {
					kept.all[reference] = `{"subject":"ada","access":"a3","refresh":"r3","expires":"2100-01-01T00:00:00Z"}`
				}
				return auth.Person{}, errs.New(errs.Unauthenticated, "", "used already")
			})
			if s, err := c.current(r); err != nil || s.Access != "a3" {
				t.Errorf("got %q %v", s.Access, err)
			}
		})
	})
	t.Run("somebody signs out meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, o, kept, r := signedIn(t, good)
			var page sync.WaitGroup
			page.Go(func() {
				if _, err := c.current(r); !errs.Is(err, errs.Unauthenticated) {
					t.Errorf("got %v", err)
				}
			})
			time.Sleep(time.Millisecond) // the issuer takes a second
			c.signOut(httptest.NewRecorder(), r)
			page.Wait()
			if len(kept.all) != 0 || !slices.Equal(o.revoked, []string{"a1", "a2"}) {
				t.Errorf("%d sessions, revoked %q", len(kept.all), o.revoked)
			}
		})
	})
	t.Run("the issuer refuses", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _, _, r := signedIn(t, func(auth.Person) (auth.Person, error) { return auth.Person{}, errs.New(errs.Unauthenticated, "", "no") })
			if _, err := c.current(r); !errs.Is(err, errs.Unauthenticated) {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("the issuer does not answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _, kept, r := signedIn(t, func(auth.Person) (auth.Person, error) { return auth.Person{}, errs.New(errs.Unavailable, "", "down") })
			if _, err := c.current(r); !errs.Is(err, errs.Unavailable) || len(kept.all) != 1 {
				t.Errorf("got %v, %d sessions", err, len(kept.all))
			}
		})
	})
}
