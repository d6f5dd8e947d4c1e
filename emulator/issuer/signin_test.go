package issuer_test

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/callout-dev/callout/emulator/issuer"
)

func TestSignIn(t *testing.T) {
	b := start(t, config()).browser()
	token, err := b.oauth.Exchange(b.ctx(), b.code("viewer"), oauth2.VerifierOption(b.verifier))
	if err != nil {
		t.Fatal(err)
	}
	access := verified(b.ctx(), t, token.AccessToken, audience)
	want := map[string]any{"sub": "viewer", "client_id": "console", "scope": strings.Join(allScopes, " "), issuer.RolesClaim: roles("IAM_OWNER_VIEWER"), "aud": []any{audience}}
	maps.DeleteFunc(access, func(name string, _ any) bool { _, ok := want[name]; return !ok })
	if diff := cmp.Diff(want, access); diff != "" {
		t.Errorf("access token (-want +got):\n%s", diff)
	}

	text, _ := token.Extra("id_token").(string)
	id := verified(b.ctx(), t, text, "console")
	want = map[string]any{"sub": "viewer", "aud": []any{"console"}, "azp": "console", "nonce": "nonce-1", "amr": []any{"pwd"}, "name": "viewer"}
	maps.DeleteFunc(id, func(name string, _ any) bool { _, ok := want[name]; return !ok })
	if diff := cmp.Diff(want, id); diff != "" {
		t.Errorf("id token (-want +got):\n%s", diff)
	}
	if b.introspect(text)["active"] != false {
		t.Error("the id token passes for an access token")
	}
	if token.RefreshToken != "" {
		t.Error("there is a refresh token")
	}
}

func TestWithoutOpenIDThereIsNoIDToken(t *testing.T) {
	b := start(t, config()).browser()
	b.oauth.Scopes = []string{issuer.AudienceScope}
	a := b.redeem(nil, b.code("admin"))
	if got := a.json(t); got["id_token"] != nil || got["access_token"] == nil {
		t.Errorf("got %v, want an access token alone", got)
	}
}

func TestCodeIsGoodOnce(t *testing.T) {
	b := start(t, config()).browser()
	code := b.code("admin")
	token, _ := b.redeem(nil, code).json(t)["access_token"].(string)
	if b.introspect(token)["active"] != true {
		t.Fatal("the code gave no good token")
	}
	wantError(t, b.redeem(nil, code), 400, "invalid_grant")
	if b.introspect(token)["active"] != false {
		t.Error("the token of a code that was used twice is active")
	}
}

func TestOneCodeRedeemedByManyGivesAtMostOneToken(t *testing.T) {
	b := start(t, config()).browser()
	code := b.code("admin")
	var mu sync.Mutex
	var wait sync.WaitGroup
	count := map[int]int{}
	for range 8 {
		wait.Go(func() {
			a := b.redeem(nil, code)
			mu.Lock()
			defer mu.Unlock()
			count[a.status]++
		})
	}
	wait.Wait()
	if count[200] > 1 || count[200]+count[400] != 8 {
		t.Errorf("answers by status: %v", count)
	}
}

func TestCodeRefusals(t *testing.T) {
	f := start(t, config())
	tests := []struct {
		name    string
		changes map[string]string
		status  int
		code    string
	}{
		{"wrong verifier", map[string]string{"code_verifier": oauth2.GenerateVerifier()}, 400, "invalid_grant"},
		{"no verifier", map[string]string{"code_verifier": ""}, 400, "invalid_request"},
		{"the challenge as verifier", map[string]string{"code_verifier": "challenge"}, 400, "invalid_grant"},
		{"another redirect", map[string]string{"redirect_uri": "http://127.0.0.1:9999/console/callback"}, 400, "invalid_grant"},
		{"no redirect", map[string]string{"redirect_uri": ""}, 400, "invalid_grant"},
		{"another client", map[string]string{"client_id": "admin", "client_secret": f.secret("admin")}, 400, "invalid_grant"},
		{"unknown client", map[string]string{"client_id": "other"}, 401, "invalid_client"},
		{"another code", map[string]string{"code": "other"}, 400, "invalid_grant"},
		{"no code", map[string]string{"code": ""}, 400, "invalid_request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := f.browser()
			if tt.changes["code_verifier"] == "challenge" {
				tt.changes["code_verifier"] = oauth2.S256ChallengeFromVerifier(b.verifier)
			}
			wantError(t, b.redeem(tt.changes, b.code("admin")), tt.status, tt.code)
		})
	}
}

func TestSignInPage(t *testing.T) {
	b := start(t, config()).browser()
	a := b.get("/signin?request=" + b.begin())
	policy := "default-src 'none'; style-src 'self'; form-action 'self' http://127.0.0.1:8080; base-uri 'none'; frame-ancestors 'none'"
	for name, want := range map[string]string{"Content-Security-Policy": policy, "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
		"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if inline := regexp.MustCompile(`(?i)<script|<style|\son\w+=|\sstyle=|javascript:`).FindString(a.body); inline != "" {
		t.Errorf("the page has %q in it", inline)
	}
	if css := b.get("/signin/style.css"); css.status != http.StatusOK || css.header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("style: got %d as %q", css.status, css.header.Get("Content-Type"))
	}
	cookie := b.authorize(nil).header.Get("Set-Cookie")
	if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
		t.Errorf("cookie: %q", cookie)
	}
}

func TestSignInPageEscapes(t *testing.T) {
	b := start(t, config()).browser()
	evil := `"><script>alert(1)</script>`
	a := b.submit(b.begin(), evil, "x")
	if a.status != http.StatusForbidden || strings.Contains(a.body, "<script") || !strings.Contains(a.body, "&lt;script&gt;") {
		t.Errorf("got %d: %s", a.status, a.body)
	}
}

func TestWrongPasswords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, config())
		b := f.browser()
		id := b.begin()
		for n := range 5 {
			a := b.submit(id, "admin", b.secret("viewer"))
			if a.status != http.StatusForbidden || a.header.Get("Location") != "" {
				t.Fatalf("try %d: got %d to %q", n, a.status, a.header.Get("Location"))
			}
		}
		if a := b.submit(id, "admin", b.secret("admin")); a.status != http.StatusBadRequest {
			t.Errorf("after five tries: got %d, want the sign-in to be over", a.status)
		}
		id = b.begin()
		for range 4 {
			b.submit(id, "admin", "wrong")
		}
		b.submit(b.begin(), "admin", "wrong")
		a := b.submit(b.begin(), "admin", b.secret("admin"))
		if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "60" {
			t.Errorf("after ten tries: got %d, retry after %q", a.status, a.header.Get("Retry-After"))
		}
		if a := b.submit(b.begin(), "viewer", b.secret("viewer")); a.status != http.StatusSeeOther {
			t.Errorf("another user: got %d", a.status)
		}
		time.Sleep(time.Minute)
		if a := b.submit(b.begin(), "admin", b.secret("admin")); a.status != http.StatusSeeOther {
			t.Errorf("a minute later: got %d", a.status)
		}
	})
}

func TestSignInEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, config()).browser()
		id, code := b.begin(), b.code("admin")
		time.Sleep(time.Minute)
		wantError(t, b.redeem(nil, code), 400, "invalid_grant")
		time.Sleep(9 * time.Minute)
		if a := b.submit(id, "admin", b.secret("admin")); a.status != http.StatusBadRequest {
			t.Errorf("after ten minutes: got %d", a.status)
		}
	})
}

func TestSignInBelongsToOneBrowser(t *testing.T) {
	f := start(t, config())
	victim, thief := f.browser(), f.browser()
	id := thief.begin()
	victim.begin() // has a cookie of its own
	if a := victim.get("/signin?request=" + id); a.status != http.StatusBadRequest || strings.Contains(a.body, "<form") {
		t.Errorf("page of another browser's sign-in: got %d", a.status)
	}
	if a := victim.submit(id, "admin", f.secret("admin")); a.status != http.StatusBadRequest {
		t.Errorf("form of another browser's sign-in: got %d", a.status)
	}
	if a := f.browser().submit(id, "admin", f.secret("admin")); a.status != http.StatusBadRequest {
		t.Errorf("form without a cookie: got %d", a.status)
	}
	if a := thief.submit(id, "nobody", f.secret("nobody")); a.status != http.StatusSeeOther {
		t.Errorf("its own: got %d", a.status)
	}
	if a := thief.submit(id, "nobody", f.secret("nobody")); a.status != http.StatusBadRequest {
		t.Errorf("twice: got %d", a.status)
	}
}

func TestSignInFormOfAnotherSite(t *testing.T) {
	b := start(t, config()).browser()
	form := url.Values{"request": {b.begin()}, "user": {"admin"}, "password": {b.secret("admin")}}.Encode()
	for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
		r := b.request(http.MethodPost, "/signin", form)
		r.Header.Set(header, value)
		if a := b.do(r); a.status != http.StatusForbidden || a.header.Get("Location") != "" {
			t.Errorf("%s: got %d to %q", header, a.status, a.header.Get("Location"))
		}
	}
	r := b.request(http.MethodPost, "/signin", form)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if a := b.do(r); a.status != http.StatusSeeOther {
		t.Errorf("same origin: got %d", a.status)
	}
}
