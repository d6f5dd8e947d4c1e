package issuer_test

import (
	"crypto/rsa"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
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
		{"the next version", edit(func(d map[string]any) { d["version"] = 3 }), "has version 3, this program knows 2"},
		{"no version", edit(func(d map[string]any) { delete(d, "version") }), "has version 0"},
		{"unknown field", edit(func(d map[string]any) { d["more"] = true }), "unknown"},
		{"no keys", edit(func(d map[string]any) { d["keys"] = []any{} }), "keys: there is none"},
		{"a key twice", edit(func(d map[string]any) { d["keys"] = append(d["keys"].([]any), d["keys"].([]any)...) }), "keys[1]: its id"},
		{"no key in use", edit(func(d map[string]any) {
			d["keys"].([]any)[0].(map[string]any)["until"] = "2030-01-01T00:00:00Z"
		}), "keys: the last one has retired"},
		{"a key before the one that it follows", edit(func(d map[string]any) {
			key := maps.Clone(d["keys"].([]any)[0].(map[string]any))
			key["id"], key["from"] = "other", "1999-01-01T00:00:00Z"
			d["keys"] = append(d["keys"].([]any), key)
		}), "keys[1]: begins before"},
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

// kid is the id of the key that has signed a token.
func kid(t *testing.T, token string) string {
	t.Helper()
	signed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	return signed.Signatures[0].Header.KeyID
}

// A key is published for a day, signs, and stays published as long as a token of it lives; a restart at any point changes nothing.
func TestRotation(t *testing.T) {
	for name, restart := range map[string]bool{"one process": false, "a restart after each step": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := inFolder(t)
				f := start(t, c)
				next := func(d time.Duration) {
					time.Sleep(d)
					if restart {
						f = start(t, c)
					}
				}
				wantKeys := func(want ...string) {
					t.Helper()
					if diff := cmp.Diff(want, f.keyIDs()); diff != "" {
						t.Errorf("keys (-want +got):\n%s", diff)
					}
				}
				wantActive := func(token string, want bool) {
					t.Helper()
					if f.introspect(token)["active"] != want {
						t.Errorf("a token of %s: active is not %t", kid(t, token), want)
					}
				}
				first := f.keyIDs()[0]
				next(time.Hour)
				if err := f.Rotate(); err != nil {
					t.Fatal(err)
				}
				if len(f.keyIDs()) != 2 {
					t.Fatalf("keys: %v", f.keyIDs())
				}
				second := f.keyIDs()[1]
				next(24*time.Hour - time.Second)
				wantKeys(first, second)
				if err := f.Rotate(); err != nil { // one waits already
					t.Error(err)
				}
				last := f.clientToken("admin", allScopes...)
				if kid(t, last) != first {
					t.Error("the new key signs before its time")
				}
				// A verifier that fetches the keys now, once and for all, knows both.
				keys, err := oidc.NewProvider(f.ctx(), issuerURL)
				if err != nil {
					t.Fatal(err)
				}
				verifier := keys.Verifier(&oidc.Config{ClientID: audience})
				if _, err := verifier.Verify(f.ctx(), last); err != nil {
					t.Error(err)
				}
				next(time.Second)
				wantKeys(first, second)
				fresh := f.clientToken("admin", allScopes...)
				push, _, err := f.Token(t.Context(), pushAudience, pushAccount)
				if err != nil || kid(t, fresh) != second || kid(t, push) != second {
					t.Errorf("%v; signed by %s and %s, want %s", err, kid(t, fresh), kid(t, push), second)
				}
				if _, err := verifier.Verify(f.ctx(), fresh); err != nil {
					t.Error(err)
				}
				wantActive(last, true)
				wantActive(fresh, true)
				next(time.Hour - 2*time.Second)
				wantActive(last, true)
				next(62 * time.Second)
				wantKeys(second)
				wantActive(last, false)
			})
		})
	}
}

// With an age, keys roll over by themselves as tokens are made, and not a key more than that.
func TestRotationByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		c := inFolder(t)
		c.RotateAfter = 30 * day
		f := start(t, c)
		signed := map[string]int{}
		for hour := range 100 * 24 {
			token, _, err := f.Token(t.Context(), pushAudience, pushAccount)
			if err != nil {
				t.Fatal(err)
			}
			signed[kid(t, token)]++
			if hour%24 == 0 {
				if keys := f.keyIDs(); len(keys) > 2 || !slices.Contains(keys, kid(t, token)) {
					t.Errorf("day %d: signed by %s, published %v", hour/24, kid(t, token), keys)
				}
			}
			if hour%(24*7) == 0 {
				f = start(t, c)
			}
			time.Sleep(time.Hour)
		}
		if len(signed) != 4 { // 31 days each
			t.Errorf("tokens by key: %v", signed)
		}
		time.Sleep(365 * day) // and nobody asked for a token
		token := f.clientToken("admin", allScopes...)
		if keys := f.keyIDs(); len(keys) != 2 || keys[0] != kid(t, token) {
			t.Errorf("signed by %s, published %v", kid(t, token), keys)
		}
		time.Sleep(day)
		if keys := f.keyIDs(); kid(t, f.clientToken("admin")) != keys[1] {
			t.Error("the next key does not sign after its day")
		}
	})
}

// A roll-over that fails leaves the old key in use, and is tried again after a while.
func TestRotationThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inFolder(t)
		c.RotateAfter = time.Hour
		made, ready := 0, nextKey()
		broken := false
		c.NewKey = func() (*rsa.PrivateKey, error) {
			made++
			if broken {
				return nil, errors.New("no randomness")
			}
			return ready()
		}
		f := start(t, c)
		made, broken = 0, true
		time.Sleep(time.Hour)
		for range 10 {
			f.clientToken("admin")
		}
		if made != 1 || len(f.keyIDs()) != 1 {
			t.Errorf("%d attempts, keys %v", made, f.keyIDs())
		}
		broken = false
		time.Sleep(time.Minute)
		f.clientToken("admin")
		if made != 2 || len(f.keyIDs()) != 2 {
			t.Errorf("then: %d attempts, keys %v", made, f.keyIDs())
		}
	})
}

// A file of version 1 is read, and its key is as old as can be.
func TestVersionOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inFolder(t)
		f := start(t, c)
		token := f.clientToken("admin")
		path := filepath.Join(c.Dir, "issuer.json")
		var doc map[string]any
		text, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(text, &doc) != nil {
			t.Fatal(err)
		}
		doc["version"] = 1
		delete(doc["keys"].([]any)[0].(map[string]any), "from")
		if text, err = json.Marshal(doc); err != nil {
			t.Fatal(err)
		}
		write(t, path, string(text))
		c.RotateAfter = time.Hour
		f = start(t, c)
		if f.introspect(token)["active"] != true || len(f.keyIDs()) != 1 {
			t.Error("the old key or its token is lost")
		}
		f.clientToken("admin")
		if len(f.keyIDs()) != 2 {
			t.Error("the old key is kept for good")
		}
		start(t, c)
	})
}

// Many tokens at once when a key is due: all are good, and one key is published.
func TestTokensWhileKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inFolder(t)
		c.RotateAfter = time.Hour
		f := start(t, c)
		time.Sleep(2 * time.Hour)
		var wait sync.WaitGroup
		for range 20 {
			wait.Go(func() {
				a := f.post("/oauth/v2/token", f.as("admin", "grant_type", "client_credentials"))
				if token, _ := a.json(t)["access_token"].(string); f.introspect(token)["active"] != true {
					t.Errorf("got %d %s, want a token that is active", a.status, a.body)
				}
			})
		}
		wait.Wait()
		if keys := f.keyIDs(); len(keys) != 2 {
			t.Errorf("published: %v", keys)
		}
	})
}
