package issuer_test

import (
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/oauth2"
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
