package auth_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
)

// authenticate tries a fresh token by the key of that name, under the key id kid.
func authenticate(t *testing.T, g *auth.Guard, key, kid string) error {
	t.Helper()
	_, err := g.Authenticate(t.Context(), "Bearer "+sign(t, jose.RS256, keys()[key], kid, claimSet()), "")
	return err
}

func (i *issuer) fetches() (n int) {
	i.set(func(i *issuer) { n = i.fetched })
	return n
}

// TestFloodOfUnknownKeys: made-up key ids cost the issuer a look at its keys now and then, whatever their number, and good tokens pass.
func TestFloodOfUnknownKeys(t *testing.T) {
	withIssuer(t, func(t *testing.T, i *issuer, client *http.Client) {
		i.set(func(i *issuer) { i.hang = 100 * time.Millisecond })
		g := guard(client)
		if err := authenticate(t, g, "rsa", "rsa"); err != nil {
			t.Fatal(err)
		}
		for second := range 60 {
			var wait sync.WaitGroup
			for n := range 20 {
				wait.Go(func() {
					wantError(t, authenticate(t, g, "other", fmt.Sprint("made-up-", second, "-", n)), errs.Unauthenticated, invalid)
				})
			}
			wait.Go(func() { wantError(t, authenticate(t, g, "other", "rsa"), errs.Unauthenticated, invalid) }) // a known id, a foreign key
			wait.Wait()
			before := time.Now()
			if err := authenticate(t, g, "rsa", "rsa"); err != nil || time.Since(before) != 0 {
				t.Errorf("a good token: %v after %v", err, time.Since(before))
			}
			time.Sleep(time.Second)
		}
		if got := i.fetches(); got < 2 || got > 1+66/5 {
			t.Errorf("a minute of them fetched the keys %d times", got)
		}
	})
}

// TestManyAtOnce: whoever comes while the keys are fetched waits for that, and for no other.
func TestManyAtOnce(t *testing.T) {
	withIssuer(t, func(t *testing.T, i *issuer, client *http.Client) {
		i.set(func(i *issuer) { i.hang = time.Second })
		g := guard(client)
		var wait sync.WaitGroup
		for range 100 {
			wait.Go(func() {
				if err := authenticate(t, g, "rsa", "rsa"); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if got := i.fetches(); got != 1 {
			t.Errorf("the keys were fetched %d times", got)
		}
	})
}

// TestRollOver: a new key is found with its first token, and a withdrawn one forgotten within the keys' age, both without a restart.
func TestRollOver(t *testing.T) {
	withIssuer(t, func(t *testing.T, i *issuer, client *http.Client) {
		g := guard(client)
		if err := authenticate(t, g, "rsa", "rsa"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		i.set(func(i *issuer) { i.published = []string{"rsa", "other"} })
		if err := authenticate(t, g, "other", "other"); err != nil {
			t.Errorf("the new key: %v", err)
		}
		i.set(func(i *issuer) { i.published = []string{"other"} })
		time.Sleep(10 * time.Minute)
		if err := authenticate(t, g, "rsa", "rsa"); err != nil { // and sets off a look
			t.Errorf("the old key until the look: %v", err)
		}
		time.Sleep(time.Second)
		wantError(t, authenticate(t, g, "rsa", "rsa"), errs.Unauthenticated, invalid)
		i.set(func(i *issuer) { i.jwks = 503 })
		time.Sleep(time.Hour)
		for range 10 { // with the issuer away, what is known goes on to work
			if err := authenticate(t, g, "other", "other"); err != nil {
				t.Errorf("while the issuer is away: %v", err)
			}
			time.Sleep(time.Second)
		}
		wantError(t, authenticate(t, g, "rsa", "rsa"), errs.Unavailable, "")
	})
}

// TestKeySetsThatAreOdd: what cannot be used is passed over, and a set without any key changes nothing.
func TestKeySetsThatAreOdd(t *testing.T) {
	withIssuer(t, func(t *testing.T, i *issuer, client *http.Client) {
		g := guard(client)
		i.set(func(i *issuer) { i.published = nil })
		wantError(t, authenticate(t, g, "rsa", "rsa"), errs.Unavailable, "")
		time.Sleep(time.Second)
		i.set(func(i *issuer) {
			i.odd = `{"kty":"OKP","crv":"X448","x":"AA"},{"kty":"none"},7,`
			i.published = []string{"rsa"}
		})
		if err := authenticate(t, g, "rsa", "rsa"); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Second)
		i.set(func(i *issuer) { i.odd, i.published = "", nil })
		wantError(t, authenticate(t, g, "other", "other"), errs.Unavailable, "")
		if err := authenticate(t, g, "rsa", "rsa"); err != nil {
			t.Errorf("after an empty set: %v", err)
		}
	})
}
