package envelope_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/shared/signature/envelope"
)

func TestWhyABodyIsRefused(t *testing.T) {
	file := readVectors(t)
	keys, err := envelope.ParseKeySet(file.KeySet)
	if err != nil {
		t.Fatal(err)
	}
	private := file.private(t)
	jwt, jwe := file.Payloads[0].Body, file.Payloads[3].Body
	tests := []struct {
		name, form, body string
		private          map[string]crypto.PrivateKey
		keys             envelope.Keys
		want             error
	}{
		{"no JWT", "JWT", "x", nil, keys, envelope.ErrMalformed},
		{"too long", "JWT", strings.Repeat("x", envelope.MaxBody+1), nil, keys, envelope.ErrMalformed},
		{"too long, JWE", "JWE", strings.Repeat("x", envelope.MaxBody+1), private, keys, envelope.ErrMalformed},
		{"no published key", "JWT", jwt, nil, envelope.KeySet{}, envelope.ErrUnknownKey},
		{"a published key of another kind", "JWT", jwt, nil, envelope.KeySet{"web-key-1": {Algorithm: "RS256"}}, envelope.ErrMismatch},
		{"no private key", "JWE", jwe, nil, keys, envelope.ErrUnknownKey},
		{"a private key of another kind", "JWE", jwe, map[string]crypto.PrivateKey{"p256-key": private["rsa-key"]}, keys, envelope.ErrMismatch},
		{"another private key", "JWE", jwe, map[string]crypto.PrivateKey{"": private["p384-key"]}, keys, envelope.ErrMismatch},
		{"something for a private key", "JWE", jwe, map[string]crypto.PrivateKey{"": "secret"}, keys, envelope.ErrMismatch},
		{"the one for every id", "JWE", jwe, map[string]crypto.PrivateKey{"": private["p256-key"]}, keys, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := open(t.Context(), tt.form, tt.body, tt.private, tt.keys); !errors.Is(err, tt.want) || (err == nil) == (got == nil) {
				t.Errorf("got %.20s, %v, want %v", got, err, tt.want)
			}
		})
	}
}

func TestParseKeySet(t *testing.T) {
	good := string(readVectors(t).KeySet)
	with := func(old, replacement string) string { return strings.Replace(good, old, replacement, 1) }
	tests := []struct {
		name, document string
		keys           int // -1: refused
	}{
		{"as it is", good, 1},
		{"none", `{"keys":[]}`, 0},
		{"not for signatures", with(`"sig"`, `"enc"`), 0},
		{"an algorithm that is not taken", with(`"RS256"`, `"RS1"`), 0},
		{"without an id", with(`"web-key-1"`, `""`), 0},
		{"of a kind to come", `{"keys":[{"kty":"PQ","kid":"a","alg":"X","use":"sig"}]}`, 0},
		{"a shared secret", `{"keys":[{"kty":"oct","kid":"a","alg":"HS256","use":"sig","k":"AAAA"}]}`, -1},
		{"no keys", `{}`, -1},
		{"not JSON", `x`, -1},
		{"too many", `{"keys":[` + strings.Repeat("{},", 100) + `{}]}`, -1},
		{"too long", good + strings.Repeat(" ", 1<<20), -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := envelope.ParseKeySet([]byte(tt.document))
			if (tt.keys < 0) != errors.Is(err, envelope.ErrKeys) || err == nil && len(set) != tt.keys {
				t.Errorf("%d keys, %v", len(set), err)
			}
		})
	}
}

// published is a server of keys, without a network.
type published struct {
	mu      sync.Mutex
	answer  string
	status  int
	control string
	asked   atomic.Int64
}

func (p *published) RoundTrip(*http.Request) (*http.Response, error) {
	p.asked.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status == 0 {
		return nil, errors.New("nobody answers")
	}
	w := httptest.NewRecorder()
	w.Header().Set("Cache-Control", p.control)
	w.WriteHeader(p.status)
	_, _ = w.WriteString(p.answer)
	return w.Result(), nil
}

func (p *published) set(status int, answer, control string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.answer, p.control = status, answer, control
}

func TestPublished(t *testing.T) {
	file := readVectors(t)
	synctest.Test(t, func(t *testing.T) {
		server := &published{}
		keys := envelope.NewPublished("https://callout.example/oauth/v2/keys", &http.Client{Transport: server})
		step := func(name, id string, want error, asked int64) {
			t.Helper()
			if _, err := keys.Key(t.Context(), id); !errors.Is(err, want) || server.asked.Load() != asked {
				t.Errorf("%s: %v after %d requests, want %v after %d", name, err, server.asked.Load(), want, asked)
			}
		}
		step("nobody answers", "web-key-1", envelope.ErrKeys, 1)
		step("at once again", "web-key-1", envelope.ErrKeys, 1)
		server.set(500, "", "")
		time.Sleep(10 * time.Second)
		step("an error", "web-key-1", envelope.ErrKeys, 2)
		server.set(200, `{"keys":[]}`, "no-store")
		time.Sleep(10 * time.Second)
		step("none yet", "web-key-1", envelope.ErrUnknownKey, 3)
		server.set(200, string(file.KeySet), "max-age=300, must-revalidate")
		time.Sleep(10 * time.Second)
		step("published", "web-key-1", nil, 4)
		time.Sleep(299 * time.Second)
		step("kept", "web-key-1", nil, 4)
		step("another one", "web-key-2", envelope.ErrUnknownKey, 5)
		for range 10 {
			step("and another", "web-key-3", envelope.ErrUnknownKey, 5)
		}
		server.set(0, "", "")
		time.Sleep(time.Hour)
		step("nobody answers, and one is known", "web-key-1", nil, 6)
		step("at once again", "web-key-1", nil, 6)
		if _, err := envelope.VerifyJWT(t.Context(), []byte(file.Payloads[0].Body), keys); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = keys.Key(ctx, "web-key-9") // does not hang
		var all sync.WaitGroup
		server.set(200, string(file.KeySet), "max-age=1")
		time.Sleep(time.Hour)
		before := server.asked.Load()
		for range 50 {
			all.Go(func() {
				if _, err := keys.Key(t.Context(), "web-key-1"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := server.asked.Load() - before; n != 1 {
			t.Errorf("50 at once asked %d times", n)
		}
	})
}

// FuzzOpen: whatever a body is, it is refused with an error of this package, or holds what was signed.
func FuzzOpen(f *testing.F) {
	file := readVectors(f)
	keys, err := envelope.ParseKeySet(file.KeySet)
	if err != nil {
		f.Fatal(err)
	}
	private, signed := file.private(f), map[string]bool{}
	for _, v := range append(file.Payloads, file.Refused...) {
		f.Add(v.Form == "JWE", v.Body)
		signed[v.Payload] = v.Payload != ""
	}
	f.Add(true, "....")
	f.Add(false, "..")
	f.Fuzz(func(t *testing.T, sealed bool, body string) {
		form := map[bool]string{true: "JWE", false: "JWT"}[sealed]
		got, err := open(t.Context(), form, body, private, keys)
		known := errors.Is(err, envelope.ErrMalformed) || errors.Is(err, envelope.ErrUnknownKey) || errors.Is(err, envelope.ErrMismatch)
		if err == nil && !signed[string(got)] || err != nil && !known {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// FuzzParseKeySet: no document makes it panic, and what it gives can be used.
func FuzzParseKeySet(f *testing.F) {
	file := readVectors(f)
	f.Add([]byte(file.KeySet))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"a","alg":"ES256","use":"sig","x":"AA","y":"AA"}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		set, err := envelope.ParseKeySet(document)
		if err != nil && !errors.Is(err, envelope.ErrKeys) {
			t.Error(err)
		}
		for id, k := range set {
			if id == "" || k.Public == nil || k.Algorithm == "" || !json.Valid(document) {
				t.Errorf("%q: %v", id, k)
			}
			_, _ = envelope.VerifyJWT(t.Context(), []byte(file.Payloads[0].Body), envelope.KeySet{"web-key-1": k})
		}
	})
}
