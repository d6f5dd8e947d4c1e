package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/callout-dev/callout/emulator/local/localtest"
)

const sessionCookie = "__Host-callout"

func (s *site) host() string { return strings.TrimPrefix(s.Info.API, "http://") }

// cookie is a copy of the session's.
func (s *site) cookie() http.Cookie {
	s.t.Helper()
	c := s.Cookies[s.host()][sessionCookie]
	if c == nil {
		s.t.Fatal("there is no session")
	}
	return *c
}

// with is another browser that has this session cookie.
func (s *site) with(c http.Cookie) *localtest.Browser {
	b := localtest.NewBrowser(s.Installation.Client)
	b.Cookies[s.host()] = map[string]*http.Cookie{sessionCookie: &c}
	return b
}

func isOut(page localtest.Page) bool {
	return page.Status == http.StatusOK && strings.Contains(page.Body, "<h1>Sign in</h1>")
}

func TestBeforeSignIn(t *testing.T) {
	localtest.Run(t, func(t *testing.T, i *localtest.Installation) {
		b := localtest.NewBrowser(i.Client)
		for _, path := range []string{"/console", "/console/", "/console/targets", "/console/deliveries/x", "/console/nothing"} {
			page := b.Get(t, i.Info.API+path)
			if !isOut(page) {
				t.Errorf("%s: %d %s", path, page.Status, page.Body)
			}
			h := page.Header
			for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
				"Referrer-Policy":            "same-origin",
				"Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY", "Access-Control-Allow-Origin": ""} {
				if h.Get(name) != want {
					t.Errorf("%s: %s is %q, want %q", path, name, h.Get(name), want)
				}
			}
			policy := h.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'",
				"base-uri 'none'", "form-action 'self'"} {
				if !strings.Contains(policy, part) || strings.Contains(policy, "unsafe") {
					t.Errorf("%s: the policy is %q", path, policy)
				}
			}
		}
		if page := b.Post(t, i.Info.API+"/console/targets/new", url.Values{"name": {"x"}}); !isOut(page) || !strings.Contains(page.Body,
			"nothing was changed") {
			t.Errorf("a form without a session: %d %s", page.Status, page.Body)
		}
	})
}

func TestSession(t *testing.T) {
	run(t, "admin", func(s *site) {
		t := s.t
		cookie := s.cookie()
		if !cookie.Secure || !cookie.HttpOnly || cookie.Path != "/" || cookie.Domain != "" || cookie.SameSite != http.SameSiteLaxMode {
			t.Errorf("the cookie is %+v", cookie)
		}
		if token := s.Cookies[s.host()]; len(token) != 1 {
			t.Errorf("%d cookies, want the session's alone", len(token))
		}
		for name, change := range map[string]func(string) string{
			"another character": func(v string) string { return v[:len(v)-10] + flip(v[len(v)-10:]) },
			"cut off":           func(v string) string { return v[:len(v)/2] },
			"not sealed":        func(string) string { return "ABCDEFGHIJKLMNOPQRSTUVWXYZ" },
			"empty":             func(string) string { return "" },
		} {
			changed := cookie
			changed.Value = change(cookie.Value)
			if page := s.with(changed).Get(t, s.Info.API+"/console/targets"); !isOut(page) {
				t.Errorf("%s: %d", name, page.Status)
			}
		}
		// The cookie of an attempt is sealed by the same key, for another place.
		begun := localtest.NewBrowser(s.Installation.Client)
		begun.Get(t, s.Info.API+"/console/signin")
		other := cookie
		other.Value = begun.Cookies[s.host()]["__Host-callout-signin"].Value
		if page := s.with(other).Get(t, s.Info.API+"/console/targets"); !isOut(page) {
			t.Errorf("the cookie of an attempt: %d", page.Status)
		}
	})
}

func flip(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

func TestSessionEnds(t *testing.T) {
	run(t, "admin", func(s *site) {
		t := s.t
		s.get(http.StatusOK, "/console/targets")
		time.Sleep(61 * time.Minute) // the issuer's tokens live an hour, and it gives none to renew them with
		if page := s.get(http.StatusOK, "/console/targets"); !isOut(page) {
			t.Error("the session outlives its token")
		}
		page := s.signIn("admin", "/console/targets")
		if page.URL.Path != "/console/targets" || page.Status != http.StatusOK {
			t.Errorf("signed in again: %d %s", page.Status, page.URL)
		}
	})
}

func TestSignOut(t *testing.T) {
	run(t, "admin", func(s *site) {
		t := s.t
		cookie := s.cookie()
		stolen := s.with(cookie)
		if page := stolen.Get(t, s.Info.API+"/console/targets"); page.Status != http.StatusOK {
			t.Fatalf("before: %d", page.Status)
		}
		s.has(s.post(http.StatusOK, "/console/signout"), "You are signed out")
		for name, b := range map[string]*localtest.Browser{"the browser": s.Browser, "who has the cookie": s.with(cookie)} {
			if page := b.Get(t, s.Info.API+"/console/targets"); !isOut(page) {
				t.Errorf("%s: %d", name, page.Status)
			}
		}
	})
}

// A sign-in is bound to the browser that began it, and to one attempt.
func TestForeignSignIn(t *testing.T) {
	run(t, "admin", func(s *site) {
		t := s.t
		b := localtest.NewBrowser(s.Installation.Client)
		b.Get(t, s.Info.API+"/console/signin")
		for name, query := range map[string]string{"no state": "code=x", "another state": "code=x&state=y",
			"a refusal": "error=access_denied&state=y", "nothing": ""} {
			if page := b.Get(t, s.Info.API+"/console/callback?"+query); page.Status == http.StatusOK && !strings.Contains(page.Body, "Begin again") {
				t.Errorf("%s: %d %s", name, page.Status, page.Body)
			}
			if b.Cookies[s.host()][sessionCookie] != nil {
				t.Errorf("%s: there is a session", name)
			}
		}
	})
}

func TestWhereASignInLeads(t *testing.T) {
	localtest.Run(t, func(t *testing.T, i *localtest.Installation) {
		for _, tt := range []struct{ to, want string }{
			{"/console/targets?q=a%26b", "/console/targets?q=a%26b"},
			{"/console/deliveries", "/console/deliveries"},
			{"", "/console/"}, {"/", "/console/"}, {"/v1/events", "/console/"}, {"/console/../v1/events", "/console/"},
			{"https://evil.example/console/", "/console/"}, {"//evil.example/console/", "/console/"}, {`/\evil.example/console/`, "/console/"},
			{`/console/\evil.example`, "/console/"}, {"javascript:alert(1)", "/console/"}, {"console/", "/console/"}, {"/console/%2e%2e/%2e%2e/",
				"/console/"}, {"/console/signin?to=x", "/console/"}, {"/console/callback?code=x&state=y", "/console/"},
			{"/console/targets\r\nSet-Cookie: x=y", "/console/"}, {"/console/\xff", "/console/%FF"},
			{"///evil.example/console/", "/console/"}, {"/console//evil.example", "/console/evil.example"},
		} {
			b := localtest.NewBrowser(i.Client)
			page := b.SignIn(t, i.Info.API, tt.to, "viewer", i.Info.Clients["viewer"].Secret)
			if got := page.URL.RequestURI(); page.URL.Host != "127.0.0.1:8080" || got != tt.want {
				t.Errorf("%q leads to %s", tt.to, page.URL)
			}
		}
	})
}

func TestFormsOfOtherSites(t *testing.T) {
	run(t, "admin", func(s *site) {
		t := s.t
		id := s.target("orders")
		cookie := s.cookie()
		for name, headers := range map[string]map[string]string{
			"another site":               {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
			"another site, old browser":  {"Origin": "https://evil.example"},
			"another port":               {"Origin": "http://127.0.0.1:9999", "Sec-Fetch-Site": "same-site"},
			"a page without an origin":   {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
			"another one's subresources": {"Sec-Fetch-Site": "cross-site"},
		} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Info.API+"/console/targets/"+id+"/delete", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.AddCookie(&cookie)
			for k, v := range headers {
				request.Header.Set(k, v)
			}
			response, err := s.Installation.Client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %d", name, response.StatusCode)
			}
		}
		s.get(http.StatusOK, "/console/targets/"+id)
	})
}

func TestRights(t *testing.T) {
	reads := []string{"/console/", "/console/targets", "/console/executions", "/console/deliveries", "/console/executions/new"}
	run(t, "viewer", func(s *site) {
		for _, path := range reads {
			s.get(http.StatusOK, path)
		}
		s.has(s.post(http.StatusForbidden, "/console/targets/new", "name", "x", "endpoint", "http://127.0.0.1/", "timeout", "1s"),
			"You may not do that")
		s.post(http.StatusForbidden, "/console/try/event", "type", "a.b", "payload", "{}")
	})
	localtest.Run(t, func(t *testing.T, i *localtest.Installation) {
		b := localtest.NewBrowser(i.Client)
		b.SignIn(t, i.Info.API, "/console/", "nobody", i.Info.Clients["nobody"].Secret)
		for _, path := range reads {
			if page := b.Get(t, i.Info.API+path); page.Status != http.StatusForbidden || !strings.Contains(page.Body, "You may not do that") {
				t.Errorf("%s: %d %s", path, page.Status, page.Body)
			}
		}
	})
}
