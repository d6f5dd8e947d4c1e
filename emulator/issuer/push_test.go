package issuer_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/emulator/issuer"
)

func TestPushToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, config())
		token, expiry, err := f.Token(t.Context(), pushAudience, pushAccount)
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(expiry); left != time.Hour {
			t.Errorf("expires in %v, want an hour", left)
		}
		got := verified(f.ctx(), t, token, pushAudience)
		now := float64(time.Now().Unix())
		want := map[string]any{"iss": issuerURL, "aud": pushAudience, "sub": pushAccount, "azp": pushAccount, "email": pushAccount,
			"email_verified": true, "iat": now, "exp": now + 3600}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("claims (-want +got):\n%s", diff)
		}
	})
}

func TestPushTokenRefusals(t *testing.T) {
	f := start(t, config())
	tests := []struct{ name, audience, email, want string }{
		{"the API's audience", audience, pushAccount, "audience"},
		{"a client's audience", "admin", pushAccount, "audience"},
		{"the console's audience", "console", pushAccount, "audience"},
		{"the issuer's own", issuerURL, pushAccount, "audience"},
		{"no audience", "", pushAccount, "audience"},
		{"a long audience", strings.Repeat("x", 1025), pushAccount, "audience"},
		{"no email", pushAudience, "", "email"},
		{"no address", pushAudience, "pubsub", "email"},
		{"a name and an address", pushAudience, "Pub Sub <pubsub@callout.local>", "email"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token, _, err := f.Token(t.Context(), tt.audience, tt.email)
			if err == nil || token != "" || !strings.Contains(err.Error(), tt.want+":") {
				t.Errorf("got %q and error %v, want one that names %s", token, err, tt.want)
			}
		})
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := f.Token(done, pushAudience, pushAccount); err == nil {
		t.Error("a token for a caller that has gone")
	}
}

func TestConfigIsChecked(t *testing.T) {
	tests := []struct {
		name string
		edit func(*issuer.Config)
		want string
	}{
		{"http beyond loopback", func(c *issuer.Config) { c.URL = "http://192.0.2.1:8082" }, "URL: http is for loopback only"},
		{"http with a name", func(c *issuer.Config) { c.URL = "http://issuer.example" }, "URL: http is for loopback only"},
		{"another scheme", func(c *issuer.Config) { c.URL = "ftp://127.0.0.1" }, "URL: neither https nor http"},
		{"no URL", func(c *issuer.Config) { c.URL = "" }, "URL: not an absolute URL"},
		{"a slash behind it", func(c *issuer.Config) { c.URL += "/" }, "URL: has a path"},
		{"a query", func(c *issuer.Config) { c.URL += "?" }, "URL: has a path or a query"},
		{"a user", func(c *issuer.Config) { c.URL = "http://me@127.0.0.1" }, "URL: has a user"},
		{"no audience", func(c *issuer.Config) { c.Audience = "" }, "no Audience"},
		{"push audience is the API's", func(c *issuer.Config) { c.PushAudience = c.Audience }, "PushAudience"},
		{"push audience is a client's", func(c *issuer.Config) { c.PushAudience = "viewer" }, "PushAudience"},
		{"redirect beyond loopback", func(c *issuer.Config) { c.ConsoleRedirect = "http://192.0.2.1/console/callback" }, "ConsoleRedirect: http"},
		{"redirect with a fragment", func(c *issuer.Config) { c.ConsoleRedirect += "#x" }, "ConsoleRedirect: has a user or a fragment"},
		{"redirect that is a path", func(c *issuer.Config) { c.ConsoleRedirect = "/console/callback" }, "ConsoleRedirect: not"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := config()
			tt.edit(&c)
			if _, err := issuer.Open(c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want it to say %q", err, tt.want)
			}
		})
	}
	for _, url := range []string{"https://issuer.example", "http://localhost:8082", "http://[::1]:8082", "http://127.8.0.1"} {
		c := config()
		c.URL = url
		if _, err := issuer.Open(c); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestWithoutConsole(t *testing.T) {
	c := config()
	c.ConsoleRedirect = ""
	f := start(t, c)
	if _, ok := f.Clients()["console"]; ok || len(f.Clients()) != 3 {
		t.Errorf("clients: %d, want three and no console", len(f.Clients()))
	}
	if a := f.browser().authorize(nil); a.status != 400 || a.header.Get("Location") != "" {
		t.Errorf("authorize: got %d to %q", a.status, a.header.Get("Location"))
	}
}
