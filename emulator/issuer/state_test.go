package issuer_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/emulator/issuer"
)

func inFolder(t *testing.T) issuer.Config {
	c := config()
	c.Dir = filepath.Join(t.TempDir(), "data")
	return c
}

func TestRestart(t *testing.T) {
	c := inFolder(t)
	before := start(t, c)
	token := before.clientToken("admin", allScopes...)
	after := start(t, c)
	verified(after.ctx(), t, token, audience)
	if after.introspect(token)["active"] != true {
		t.Error("the token is not active any more")
	}
	if diff := cmp.Diff(before.Clients(), after.Clients()); diff != "" {
		t.Errorf("clients (-before +after):\n%s", diff)
	}
	if string(before.ServiceAccount()) != string(after.ServiceAccount()) {
		t.Error("the service account's key file has changed")
	}
	c.Dir = ""
	if other := start(t, c); other.secret("admin") == after.secret("admin") {
		t.Error("in memory there is the secret of a folder")
	}
}

func TestFiles(t *testing.T) {
	c := inFolder(t)
	f := start(t, c)
	for _, name := range []string{"issuer.json", "service-account.json"} {
		info, err := os.Stat(filepath.Join(c.Dir, name))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: mode %v, error %v, want 0600", name, info.Mode(), err)
		}
	}
	path := filepath.Join(c.Dir, "service-account.json")
	if file, err := os.ReadFile(path); err != nil || string(file) != string(f.ServiceAccount()) {
		t.Errorf("key file: %v, or it is not what ServiceAccount says", err)
	}
	// What is derived is repaired; what is too open is closed; what a crash left in the way is no obstacle.
	write(t, path, "{")
	write(t, filepath.Join(c.Dir, "issuer.json.tmp"), "half a fi")
	if err := os.Chmod(filepath.Join(c.Dir, "issuer.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	f = start(t, c)
	if file, err := os.ReadFile(path); err != nil || string(file) != string(f.ServiceAccount()) {
		t.Errorf("key file after a restart: %v, or it is not what ServiceAccount says", err)
	}
	if info, err := os.Stat(filepath.Join(c.Dir, "issuer.json")); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, error %v, want 0600", info.Mode(), err)
	}
	if err := f.Rotate(); err != nil {
		t.Errorf("rotate: %v", err)
	}
	if entries, err := os.ReadDir(c.Dir); err != nil || len(entries) != 2 {
		t.Errorf("the folder has %v, error %v, want two files", entries, err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedState(t *testing.T) {
	c := inFolder(t)
	f := start(t, c)
	path := filepath.Join(c.Dir, "issuer.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(change func(map[string]any)) string {
		var doc map[string]any
		if err := json.Unmarshal(good, &doc); err != nil {
			t.Fatal(err)
		}
		change(doc)
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	tests := []struct{ name, text, want string }{
		{"empty", "", "is damaged"},
		{"cut", string(good[:len(good)/2]), "is damaged"},
		{"text after it", string(good) + "{}", "is damaged"},
		{"not JSON", "issuer: local", "is damaged"},
		{"the next version", edit(func(d map[string]any) { d["version"] = 2 }), "has version 2, this program knows 1"},
		{"no version", edit(func(d map[string]any) { delete(d, "version") }), "has version 0"},
		{"unknown field", edit(func(d map[string]any) { d["more"] = true }), "unknown"},
		{"no keys", edit(func(d map[string]any) { d["keys"] = []any{} }), "keys: there is none"},
		{"a key twice", edit(func(d map[string]any) { d["keys"] = append(d["keys"].([]any), d["keys"].([]any)...) }), "keys[1]: its id"},
		{"no key in use", edit(func(d map[string]any) {
			d["keys"].([]any)[0].(map[string]any)["until"] = "2030-01-01T00:00:00Z"
		}), "keys: the last one has retired"},
		{"a key that is none", edit(func(d map[string]any) { d["keys"].([]any)[0].(map[string]any)["pem"] = "x" }), "keys[0]: pem"},
		{"a key without id", edit(func(d map[string]any) { d["keys"].([]any)[0].(map[string]any)["id"] = "" }), "keys[0]: id"},
		{"no service account", edit(func(d map[string]any) { delete(d, "serviceAccount") }), "serviceAccount"},
		{"a short secret", edit(func(d map[string]any) { d["secrets"].(map[string]any)["admin"] = "short" }), "that of admin"},
		{"a secret of odd characters", edit(func(d map[string]any) { d["secrets"].(map[string]any)["admin"] = strings.Repeat("ä", 32) }), "that of admin"},
		{"a client more", edit(func(d map[string]any) { d["secrets"].(map[string]any)["root"] = strings.Repeat("a", 43) }), "secrets"},
		{"a client less", edit(func(d map[string]any) { delete(d["secrets"].(map[string]any), "viewer") }), "secrets"},
		{"over the limit", string(good) + strings.Repeat(" ", 1<<20), "is damaged: over"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			write(t, path, tt.text)
			_, err := issuer.Open(c)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Fatalf("got error %v, want it to say %q and name the file", err, tt.want)
			}
			if strings.Contains(err.Error(), f.secret("admin")) || strings.Contains(err.Error(), "PRIVATE") {
				t.Error("the error has a secret in it")
			}
			if left, err := os.ReadFile(path); err != nil || string(left) != tt.text {
				t.Error("the file was overwritten")
			}
		})
	}
	write(t, path, string(good))
	if again := start(t, c); again.secret("admin") != f.secret("admin") {
		t.Error("the restored file is not read")
	}
}

func TestNoFolder(t *testing.T) {
	c := config()
	c.Dir = filepath.Join(t.TempDir(), "file", "data")
	write(t, filepath.Dir(c.Dir), "not a folder")
	if _, err := issuer.Open(c); err == nil || !strings.Contains(err.Error(), c.Dir) {
		t.Errorf("got error %v, want one that names the folder", err)
	}
	c.Dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(c.Dir, "issuer.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.Open(c); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("got error %v, want one that says what is no file", err)
	}
}

// A disk that refuses the write leaves the old key in use, and the token revoked nowhere.
func TestFailingDisk(t *testing.T) {
	c := inFolder(t)
	f := start(t, c)
	token := f.clientToken("admin", "openid")
	keys := f.get("/oauth/v2/keys").body
	if err := os.RemoveAll(c.Dir); err != nil {
		t.Fatal(err)
	}
	if err := f.Rotate(); err == nil {
		t.Error("Rotate says that the key is durable")
	}
	if got := f.get("/oauth/v2/keys").body; got != keys {
		t.Errorf("published keys: got %s, want %s", got, keys)
	}
	if a := f.post("/oauth/v2/revoke", f.as("admin", "token", token)); a.status != 503 {
		t.Errorf("revoke: got %d %s, want 503", a.status, a.body)
	}
	if f.introspect(token)["active"] != true || f.introspect(f.clientToken("admin"))["active"] != true {
		t.Error("reads and new tokens do not go on")
	}
}

func (f *fixture) keyIDs() []string {
	f.t.Helper()
	var set struct {
		Keys []struct{ Kid, Use, Alg, Kty, D string }
	}
	if err := json.Unmarshal([]byte(f.get("/oauth/v2/keys").body), &set); err != nil {
		f.t.Fatal(err)
	}
	var ids []string
	for _, k := range set.Keys {
		if k.Use != "sig" || k.Alg != "RS256" || k.Kty != "RSA" || k.D != "" {
			f.t.Errorf("key %+v", k)
		}
		ids = append(ids, k.Kid)
	}
	return ids
}

func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inFolder(t)
		f := start(t, c)
		provider, err := oidc.NewProvider(f.ctx(), issuerURL) // a verifier that has seen the first key only
		if err != nil {
			t.Fatal(err)
		}
		verifier := provider.Verifier(&oidc.Config{ClientID: audience})
		old := f.clientToken("admin", allScopes...)
		if _, err := verifier.Verify(f.ctx(), old); err != nil {
			t.Fatal(err)
		}
		first := f.keyIDs()

		time.Sleep(30 * time.Minute)
		last := f.clientToken("admin", allScopes...) // the last one by the first key
		if err := f.Rotate(); err != nil {
			t.Fatal(err)
		}
		both := f.keyIDs()
		if len(first) != 1 || len(both) != 2 || both[0] != first[0] {
			t.Fatalf("keys: got %v, then %v", first, both)
		}
		fresh := f.clientToken("admin", allScopes...)
		for name, token := range map[string]string{"old": old, "last": last, "fresh": fresh} {
			if _, err := verifier.Verify(f.ctx(), token); err != nil {
				t.Errorf("%s token after the rotation: %v", name, err)
			}
			if f.introspect(token)["active"] != true {
				t.Errorf("%s token after the rotation: not active", name)
			}
		}

		f = start(t, c) // a restart forgets neither key
		if diff := cmp.Diff(both, f.keyIDs()); diff != "" {
			t.Errorf("keys after a restart (-want +got):\n%s", diff)
		}
		time.Sleep(time.Hour - time.Second)
		if f.introspect(last)["active"] != true {
			t.Error("the last token of the old key died before its time")
		}
		time.Sleep(61 * time.Second)
		if diff := cmp.Diff(both[1:], f.keyIDs()); diff != "" {
			t.Errorf("keys when nothing of the old one is alive (-want +got):\n%s", diff)
		}
		for name, token := range map[string]string{"old": old, "last": last, "fresh": fresh} {
			if f.introspect(token)["active"] != false {
				t.Errorf("%s token after its end: active", name)
			}
		}
	})
}

func TestKeysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, config())
		for range 15 {
			if err := f.Rotate(); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Rotate(); err == nil {
			t.Error("a seventeenth key is published")
		}
		time.Sleep(2 * time.Hour)
		if err := f.Rotate(); err != nil {
			t.Errorf("later: %v", err)
		}
		if got := f.keyIDs(); len(got) != 2 {
			t.Errorf("later: %d keys, want 2", len(got))
		}
	})
}

func TestTokensWhileKeysRotate(t *testing.T) {
	f := start(t, inFolder(t))
	done := make(chan error, 1)
	go func() {
		for range 6 {
			if err := f.Rotate(); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for rotating := true; rotating; {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			rotating = false
		default:
		}
		a := f.post("/oauth/v2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"admin"}, "client_secret": {f.secret("admin")}})
		if token, _ := a.json(t)["access_token"].(string); f.introspect(token)["active"] != true {
			t.Fatalf("got %d %s, want a token that is active", a.status, a.body)
		}
	}
}
