package issuer_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPaths(t *testing.T) {
	f := start(t, config())
	tests := []struct {
		method, path string
		status       int
	}{
		{"GET", "/", 404},
		{"GET", "/oauth/v2/authorize/callback?id=1", 404}, // the library's way to finish a sign-in: ours is the form
		{"POST", "/device_authorization", 404},
		{"GET", "/ready", 404},
		{"GET", "/oauth/v2/token", 405},
		{"GET", "/oauth/v2/introspect", 405},
		{"POST", "/oauth/v2/keys", 405},
		{"DELETE", "/oauth/v2/token", 405},
		{"HEAD", "/oauth/v2/keys", 200},
		{"GET", "/signin", 400},
		{"GET", "/signin?request=../../etc", 400},
	}
	for _, tt := range tests {
		a := f.do(f.request(tt.method, tt.path, ""))
		if a.status != tt.status {
			t.Errorf("%s %s: got %d, want %d", tt.method, tt.path, a.status, tt.status)
		}
		if a.header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s %s: headers %v", tt.method, tt.path, a.header)
		}
	}
}

func TestOtherOrigins(t *testing.T) {
	f := start(t, config())
	tests := []struct {
		method, path string
		allowed      bool
	}{
		{"GET", "/.well-known/openid-configuration", true},
		{"GET", "/oauth/v2/keys", true},
		{"POST", "/oauth/v2/token", true},
		{"OPTIONS", "/oauth/v2/token", true},
		{"OPTIONS", "/oauth/v2/introspect", false},
		{"POST", "/oauth/v2/introspect", false},
		{"POST", "/oauth/v2/revoke", false},
		{"GET", "/oidc/v1/userinfo", false},
		{"GET", "/oauth/v2/authorize", false},
		{"GET", "/signin", false},
	}
	for _, tt := range tests {
		r := f.request(tt.method, tt.path, "")
		r.Header.Set("Origin", "https://app.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		a := f.do(r)
		if got := a.header.Get("Access-Control-Allow-Origin"); (got == "*") != tt.allowed || (got == "") == tt.allowed {
			t.Errorf("%s %s: allows origin %q", tt.method, tt.path, got)
		}
		if a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s %s: allows cookies", tt.method, tt.path)
		}
	}
}

// A client that sends its body a byte at a time is cut off after ten seconds.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, config())
		body, writer := io.Pipe()
		var wait sync.WaitGroup
		wait.Go(func() {
			for range 100 {
				if _, err := writer.Write([]byte("a")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuerURL+"/oauth/v2/token", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		began := time.Now()
		if response, err := f.http.Do(r); err == nil {
			_ = response.Body.Close()
			if response.StatusCode != http.StatusBadRequest {
				t.Errorf("got %d", response.StatusCode)
			}
		}
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("took %v, want ten seconds", took)
		}
		_ = body.Close()
		wait.Wait()
	})
}

func TestLogHasNoSecrets(t *testing.T) {
	var log bytes.Buffer
	c := config()
	c.Log = slog.New(slog.NewJSONHandler(&log, nil))
	f := start(t, c)
	wrong := "a-password-that-somebody-mistyped"
	f.post("/oauth/v2/token", f.as("admin", "grant_type", "client_credentials", "client_secret", wrong))
	f.post("/oauth/v2/token", f.as("admin", "grant_type", f.secret("admin")))
	f.do(f.request(http.MethodPost, "/oauth/v2/token", f.secret("admin")+"=1&"+f.secret("admin")+"=2"))
	b := f.browser()
	b.submit(b.begin(), wrong, wrong)
	b.redeem(nil, b.code("admin"))
	token := f.clientToken("viewer", allScopes...)
	f.introspect(token)
	f.post("/oauth/v2/token", f.as("viewer", "grant_type", bearerGrant, "assertion", token))
	text := log.String()
	if !strings.Contains(text, "invalid_client") || !strings.Contains(text, "sign-in refused") {
		t.Errorf("refusals are not logged: %s", text)
	}
	for name, secret := range map[string]string{"password": wrong, "token": token, "secret of viewer": f.secret("viewer"), "secret of admin": f.secret("admin")} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has the %s", name)
		}
	}
}

func TestErrorsKeepToTheCharactersOfTheRFC(t *testing.T) {
	f := start(t, config())
	a := f.browser().authorize(map[string]string{"code_challenge": "<\"ü\\\n>" + strings.Repeat("x", 500)})
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || u.Query().Get("error") != "invalid_request" {
		t.Fatalf("got %d to %q", a.status, a.header.Get("Location"))
	}
	if text := u.Query().Get("error_description"); text == "" || strings.ContainsAny(text, "\"\\\n") || len(text) > 200 {
		t.Errorf("description: %q", text)
	}
}

func TestDuplicateParametersAreNamed(t *testing.T) {
	f := start(t, config())
	a := f.do(f.request(http.MethodPost, "/oauth/v2/token", "scope=a&scope=b"))
	wantError(t, a, 400, "invalid_request")
	if got := a.json(t)["error_description"]; got != "scope: occurs more than once" {
		t.Errorf("description: %v", got)
	}
}
