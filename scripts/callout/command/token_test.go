package command_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/callout-dev/callout/scripts/callout/command"
)

// subject reads whom a token is for, and whether it is for the API.
func subject(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(strings.TrimSpace(token), ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", token)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Subject  string   `json:"sub"`
		Audience []string `json:"aud"`
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	if len(claims.Audience) != 1 || claims.Audience[0] != "callout" {
		t.Errorf("the audience is %q, want the API's alone", claims.Audience)
	}
	return claims.Subject
}

func secretOf(t *testing.T, w *world, client string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.data, "local.json"))
	if err != nil {
		t.Fatal(err)
	}
	var local struct {
		Clients map[string]struct{ Secret string }
	}
	if err := json.Unmarshal(text, &local); err != nil {
		t.Fatal(err)
	}
	return local.Clients[client].Secret
}

func TestTokenIsForWhoeverIsSaidToCall(t *testing.T) {
	tests := map[string]struct {
		args []string
		env  func(t *testing.T, w *world) map[string]string
		want string
	}{
		"nobody said":       {want: "admin"},
		"one of local.json": {args: []string{"--client", "viewer"}, want: "viewer"},
		"a service account": {args: []string{"--service-account", "KEYFILE"}, want: "service-account"},
		"a client by flags": {args: []string{"--client-id", "nobody", "--client-secret", "SECRET"}, want: "nobody"},
		"a client by flag and environment": {args: []string{"--client-id", "nobody"}, want: "nobody",
			env: func(t *testing.T, w *world) map[string]string {
				return map[string]string{"CALLOUT_CLIENT_ID": "viewer", "CALLOUT_CLIENT_SECRET": secretOf(t, w, "nobody")}
			}},
		"a client by environment": {want: "nobody",
			env: func(t *testing.T, w *world) map[string]string {
				return map[string]string{"CALLOUT_CLIENT_ID": "nobody", "CALLOUT_CLIENT_SECRET": secretOf(t, w, "nobody")}
			}},
		"a flag before the environment": {args: []string{"--client", "viewer"}, want: "viewer",
			env: func(*testing.T, *world) map[string]string { return map[string]string{"CALLOUT_TOKEN": "not this one"} }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				if test.env != nil {
					w.env = test.env(w.t, w)
				}
				args := strings.NewReplacer("KEYFILE", w.keyFile(), "SECRET", secretOf(w.t, w, "nobody")).Replace(strings.Join(append([]string{"token"}, test.args...), "\n"))
				if got := subject(w.t, w.ok(strings.Split(args, "\n")...)); got != test.want {
					t.Errorf("the token is for %q, want %q", got, test.want)
				}
			})
		})
	}
}

func TestTokenOfTheUsersOwn(t *testing.T) {
	inWorld(t, func(w *world) {
		if got := w.ok("token", "--token", "given"); got != "given\n" {
			t.Errorf("printed %q", got)
		}
		w.env["CALLOUT_TOKEN"] = "from the environment"
		if got := w.ok("token"); got != "from the environment\n" {
			t.Errorf("printed %q", got)
		}
	})
}

func TestTokenAsJSON(t *testing.T) {
	inWorld(t, func(w *world) {
		var got struct {
			Token  string `json:"access_token"`
			Type   string `json:"token_type"`
			Expiry string `json:"expiry"`
		}
		if err := json.Unmarshal([]byte(w.ok("token", "-o", "json")), &got); err != nil {
			t.Fatal(err)
		}
		if subject(t, got.Token) != "admin" || got.Type != "Bearer" || got.Expiry == "" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestTokenNeedsNoAPI(t *testing.T) {
	inWorld(t, func(w *world) {
		issuer := []string{"token", "--data", t.TempDir(), "--issuer", "http://" + issuerAddress}
		if got := subject(t, w.ok(append(issuer, "--service-account", w.keyFile())...)); got != "service-account" {
			t.Errorf("the token is for %q", got)
		}
	})
}

func TestNoToken(t *testing.T) {
	inWorld(t, func(w *world) {
		write := func(name, text string) string {
			path := filepath.Join(w.t.TempDir(), name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		garbled := write("garbled.json", `{"type":"serviceaccount","keyId":"k","key":"SECRETKEYTEXT","userId":"u"}`)
		tests := map[string]struct {
			code int
			args []string
			says []string
		}{
			"no local.json": {1, []string{"--data", "/nowhere"},
				[]string{"there is no /nowhere/local.json", `Start "go run ./emulator" first`, "--api and --issuer"}},
			"a wrong secret":                   {1, []string{"--client-id", "admin", "--client-secret", "wrong"}, []string{"gives client admin no token: invalid_client", "--client-id"}},
			"two callers":                      {2, []string{"--client", "admin", "--token", "x"}, []string{"give one of them", "--help"}},
			"a client that is none":            {2, []string{"--client", "root"}, []string{`"root"`, "admin, viewer and nobody"}},
			"a client without a secret":        {2, []string{"--client-id", "admin"}, []string{"CALLOUT_CLIENT_SECRET"}},
			"a secret without a client":        {2, []string{"--client-secret", "x"}, []string{"CALLOUT_CLIENT_ID"}},
			"local secrets for another issuer": {2, []string{"--issuer", "https://id.example.org"}, []string{"are for http://127.0.0.1:8080 alone"}},
			"local secrets for another API":    {2, []string{"--api", "https://callout.example.org"}, []string{"are for http://127.0.0.1:8080 alone"}},
			"an issuer in the clear":           {2, []string{"--issuer", "http://id.example.org", "--client-id", "a", "--client-secret", "b"}, []string{"loopback"}},
			"an issuer that is no URL":         {2, []string{"--issuer", "id", "--client-id", "a", "--client-secret", "b"}, []string{"--issuer", "http://HOST"}},
			"an issuer that is not there":      {1, []string{"--issuer", "http://127.0.0.1:1", "--client-id", "a", "--client-secret", "b"}, []string{"nobody answers at http://127.0.0.1:1: connection refused", "go run ./emulator"}},
			"an issuer that is the API":        {1, []string{"--issuer", "http://" + apiAddress, "--client-id", "a", "--client-secret", "b"}, []string{"is not an OpenID Connect issuer"}},
			"no such key file":                 {1, []string{"--service-account", "/nowhere/key.json"}, []string{"/nowhere/key.json"}},
			"a key file of something else":     {1, []string{"--service-account", write("x.json", `{"type":"application"}`)}, []string{"is not the key file of a service account"}},
			"a garbled key":                    {1, []string{"--service-account", garbled}, []string{"service account u is not a PEM private key"}},
			"an unknown form":                  {2, []string{"-o", "xml"}, []string{"table, json"}},
			"an argument too many":             {2, []string{"now"}, []string{"--help"}},
		}
		for name, test := range tests { // no subtests: a bubble has none
			r := w.run(append([]string{"token"}, test.args...)...)
			if r.code != test.code || r.out != "" {
				t.Errorf("%s: exit %d and %q, want %d and nothing printed", name, r.code, r.out, test.code)
			}
			wantSaid(t, r.err, test.says...)
			if strings.Contains(r.err, "SECRETKEYTEXT") {
				t.Errorf("%s: the key is in the error", name)
			}
		}
	})
}

func TestTokenOnlyWhereItMayGo(t *testing.T) {
	inWorld(t, func(w *world) {
		const thief = "127.0.0.1:6666"
		var stolen string
		w.serve(thief, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { stolen += r.Header.Get("Authorization") }))
		w.before = func(rw http.ResponseWriter, r *http.Request) bool {
			http.Redirect(rw, r, "http://"+thief+"/", http.StatusTemporaryRedirect)
			return true
		}
		for _, args := range [][]string{{"target", "list"}, {"event", "publish", "a.b"}} {
			if r := w.run(args...); r.code != command.ExitFailed {
				t.Errorf("%s: exit %d: %s", args, r.code, r.err)
			}
		}
		if stolen != "" {
			t.Errorf("a redirect was followed, with %q", stolen)
		}
	})
}
