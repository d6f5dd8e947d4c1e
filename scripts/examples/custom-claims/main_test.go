package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/emulator/local/localtest"
	"github.com/callout-dev/callout/scripts/examples/setup"
)

// world is the example beside an installation.
type world struct {
	*testing.T
	example
	client *http.Client
}

// token is what the issuer gives to a user.
func (w world) token(user string) string {
	w.Helper()
	response, err := w.client.PostForm("http://"+w.issuer+"/token", url.Values{"user": {user}})
	if err != nil {
		w.Fatal(err)
	}
	return w.body(response)
}

// claims are what the relying party reads in a token, without the times.
func (w world) claims(token string) map[string]any {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), "GET", "http://"+w.party+"/", nil)
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := w.client.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	if response.StatusCode == http.StatusUnauthorized {
		w.body(response)
		return nil
	}
	var claims map[string]any
	if err := json.Unmarshal([]byte(w.body(response)), &claims); err != nil {
		w.Fatal(err)
	}
	delete(claims, "iat")
	delete(claims, "exp")
	return claims
}

func (w world) body(r *http.Response) string {
	w.Helper()
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		w.Fatal(err)
	}
	return string(bytes.TrimSpace(text))
}

func TestClaimsAreInTheToken(t *testing.T) {
	localtest.Run(t, func(t *testing.T, l *localtest.Installation) {
		e := example{issuer: "127.0.0.1:9111", target: "127.0.0.1:9112", party: "127.0.0.1:9113"}
		address, err := setup.Local(l.Data)
		if err != nil {
			t.Fatal(err)
		}
		i, err := setup.Open(t.Context(), address, l.Client)
		if err != nil {
			t.Fatal(err)
		}
		program, err := e.start(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		l.Serve(t, e.issuer, program.Serves[e.issuer])
		l.Serve(t, e.party, program.Serves[e.party])
		stop := l.Serve(t, e.target, program.Serves[e.target])
		w := world{t, e, l.Client}
		wantClaims := func(token string, want map[string]any) {
			t.Helper()
			if diff := cmp.Diff(want, w.claims(token)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		const log = "urn:zitadel:iam:action:function/preaccesstoken:log"
		logged := []any{`key "sub" already exists`, "looked up the tier"}
		of := func(sub string) map[string]any {
			return map[string]any{"iss": "http://" + e.issuer, "aud": audience, "sub": sub}
		}
		with := func(sub, tier string) map[string]any {
			claims := of(sub)
			claims["tier"], claims[log] = tier, logged
			return claims
		}
		wantClaims(w.token("kim"), with("404", "gold"))
		wantClaims(w.token("lee"), with("405", "free"))

		t.Log("a token that the issuer did not sign so, and one that is old")
		kim := w.token("kim")
		wantClaims(kim[:len(kim)-8]+"AAAAAAAA", nil)
		time.Sleep(6 * time.Minute)
		wantClaims(kim, nil)

		t.Log("the target is away: the token goes without")
		stop()
		wantClaims(w.token("kim"), of("404"))
	})
}
