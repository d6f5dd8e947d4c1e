package issuer_test

import (
	"html"
	"maps"
	"net/http"
	"net/http/cookiejar"
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

// browser is a user with a cookie jar, who began a sign-in at the console.
type browser struct {
	*fixture
	verifier string
	oauth    oauth2.Config
}

func (f *fixture) browser() *browser {
	jar, _ := cookiejar.New(nil) // never fails
	g := *f
	client := *f.http
	client.Jar = jar
	g.http = &client
	return &browser{fixture: &g, verifier: oauth2.GenerateVerifier(), oauth: oauth2.Config{ClientID: "console", RedirectURL: redirectURL, Scopes: allScopes,
		Endpoint: oauth2.Endpoint{AuthURL: issuerURL + "/oauth/v2/authorize", TokenURL: issuerURL + "/oauth/v2/token", AuthStyle: oauth2.AuthStyleInParams}}}
}

// authorize asks for a code, with parameters changed ("" takes one away).
func (b *browser) authorize(changes map[string]string) answer {
	b.t.Helper()
	u, err := url.Parse(b.oauth.AuthCodeURL("state-1", oauth2.S256ChallengeOption(b.verifier), oauth2.SetAuthURLParam("nonce", "nonce-1")))
	if err != nil {
		b.t.Fatal(err)
	}
	query := u.Query()
	for name, value := range changes {
		query.Set(name, value)
		if value == "" {
			query.Del(name)
		}
	}
	return b.get(u.Path + "?" + query.Encode())
}

// begin goes as far as the sign-in page and returns the id in its form.
func (b *browser) begin() string {
	b.t.Helper()
	a := b.authorize(nil)
	location := a.header.Get("Location")
	if a.status != http.StatusFound || !strings.HasPrefix(location, "/signin?request=") {
		b.t.Fatalf("authorize: got %d to %q: %s", a.status, location, a.body)
	}
	page := b.get(location)
	id := regexp.MustCompile(`name="request" value="([^"]+)"`).FindStringSubmatch(page.body)
	if page.status != http.StatusOK || id == nil {
		b.t.Fatalf("sign-in page: got %d: %s", page.status, page.body)
	}
	return html.UnescapeString(id[1])
}

func (b *browser) submit(id, user, password string) answer {
	b.t.Helper()
	return b.post("/signin", url.Values{"request": {id}, "user": {user}, "password": {password}})
}

// code signs in and returns the code that the console gets.
func (b *browser) code(user string) string {
	b.t.Helper()
	a := b.submit(b.begin(), user, b.secret(user))
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status != http.StatusSeeOther || !strings.HasPrefix(u.String(), redirectURL+"?") || u.Query().Get("state") != "state-1" {
		b.t.Fatalf("sign-in: got %d to %q: %s", a.status, a.header.Get("Location"), a.body)
	}
	return u.Query().Get("code")
}

func (b *browser) redeem(changes map[string]string, code string) answer {
	b.t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "client_id": {"console"}, "redirect_uri": {redirectURL},
		"code_verifier": {b.verifier}}
	for name, value := range changes {
		form.Set(name, value)
		if value == "" {
			form.Del(name)
		}
	}
	return b.post("/oauth/v2/token", form)
}

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

func TestAuthorizeRefusals(t *testing.T) {
	f := start(t, config())
	tests := []struct {
		name    string
		changes map[string]string
		back    string // the error that the client is told; empty where nobody may be sent anywhere
	}{
		{"no redirect", map[string]string{"redirect_uri": ""}, ""},
		{"another host", map[string]string{"redirect_uri": "https://evil.example/console/callback"}, ""},
		{"another port", map[string]string{"redirect_uri": "http://127.0.0.1:9999/console/callback"}, ""},
		{"a longer path", map[string]string{"redirect_uri": redirectURL + "/../../x"}, ""},
		{"a query", map[string]string{"redirect_uri": redirectURL + "?next=https://evil.example"}, ""},
		{"a user that looks like the host", map[string]string{"redirect_uri": "http://127.0.0.1:8080@evil.example/console/callback"}, ""},
		{"a script", map[string]string{"redirect_uri": "javascript:alert(1)"}, ""},
		{"unknown client", map[string]string{"client_id": "other"}, ""},
		{"no client", map[string]string{"client_id": ""}, ""},
		{"a confidential client", map[string]string{"client_id": "admin"}, ""},
		{"no response type", map[string]string{"response_type": ""}, "invalid_request"},
		{"implicit", map[string]string{"response_type": "id_token token"}, "unauthorized_client"},
		{"no challenge", map[string]string{"code_challenge": "", "code_challenge_method": ""}, "invalid_request"},
		{"plain challenge", map[string]string{"code_challenge_method": "plain"}, "invalid_request"},
		{"no challenge method", map[string]string{"code_challenge_method": ""}, "invalid_request"},
		{"short challenge", map[string]string{"code_challenge": "short"}, "invalid_request"},
		{"form post", map[string]string{"response_mode": "form_post"}, "invalid_request"},
		{"a request object", map[string]string{"request": "a.b.c"}, "request_not_supported"},
		{"no prompt", map[string]string{"prompt": "none"}, "login_required"},
		{"no scope", map[string]string{"scope": ""}, "invalid_request"},
		{"push audience", map[string]string{"scope": "openid urn:zitadel:iam:org:project:id:" + pushAudience + ":aud"}, "invalid_scope"},
		{"a forged hint", map[string]string{"id_token_hint": "a.b.c"}, "login_required"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := f.browser().authorize(tt.changes)
			location := a.header.Get("Location")
			if tt.back == "" {
				if a.status != http.StatusBadRequest || location != "" {
					t.Errorf("got %d to %q, want 400 and no redirect", a.status, location)
				}
				return
			}
			u, err := url.Parse(location)
			if err != nil || !strings.HasPrefix(location, redirectURL+"?") && !strings.HasPrefix(location, redirectURL+"#") {
				t.Fatalf("got %d to %q: %s", a.status, location, a.body)
			}
			answer := u.Query()
			if u.Fragment != "" {
				answer, _ = url.ParseQuery(u.Fragment)
			}
			if answer.Get("error") != tt.back || answer.Get("state") != "state-1" || answer.Get("code") != "" {
				t.Errorf("got %v, want the error %s", answer, tt.back)
			}
		})
	}
	t.Run("a query over the limit", func(t *testing.T) {
		a := f.browser().authorize(map[string]string{"state": strings.Repeat("x", 8<<10)})
		if a.status != http.StatusBadRequest || a.header.Get("Location") != "" {
			t.Errorf("got %d to %q", a.status, a.header.Get("Location"))
		}
	})
	t.Run("a body over the limit", func(t *testing.T) {
		a := f.post("/oauth/v2/authorize", url.Values{"state": {strings.Repeat("x", 8<<10)}})
		wantError(t, a, http.StatusRequestEntityTooLarge, "invalid_request")
	})
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

func TestEndSession(t *testing.T) {
	b := start(t, config()).browser()
	id, _ := b.redeem(nil, b.code("admin")).json(t)["id_token"].(string)
	home := "http://127.0.0.1:8080/console/"
	tests := []struct {
		name  string
		query url.Values
		want  string // empty is refused
	}{
		{"nothing", nil, "/signed-out"},
		{"hint and redirect", url.Values{"id_token_hint": {id}, "post_logout_redirect_uri": {home}, "state": {"s"}}, home + "?state=s"},
		{"client and redirect", url.Values{"client_id": {"console"}, "post_logout_redirect_uri": {home}}, home},
		{"redirect of nobody", url.Values{"post_logout_redirect_uri": {"https://evil.example"}}, "/signed-out"},
		{"redirect that is not registered", url.Values{"client_id": {"console"}, "post_logout_redirect_uri": {"https://evil.example"}}, ""},
		{"unknown client", url.Values{"client_id": {"other"}}, ""},
		{"forged hint", url.Values{"id_token_hint": {id[:len(id)-6] + "AAAAAA"}}, ""},
		{"hint of another client", url.Values{"id_token_hint": {id}, "client_id": {"admin"}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := b.get("/oidc/v1/end_session?" + tt.query.Encode())
			if tt.want == "" {
				wantError(t, a, 400, "invalid_request")
				return
			}
			if got := a.header.Get("Location"); a.status != http.StatusFound || got != tt.want {
				t.Errorf("got %d to %q, want %q", a.status, got, tt.want)
			}
		})
	}
	if a := b.get("/signed-out"); a.status != 200 || !strings.Contains(a.body, home) {
		t.Errorf("signed out: got %d: %s", a.status, a.body)
	}
}
