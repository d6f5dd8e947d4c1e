package command_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
)

// webKeyRing is api.Keys, kept in memory.
type webKeyRing struct {
	mu   sync.Mutex
	keys action.WebKeys
}

func (r *webKeyRing) RotateKeys(context.Context, auth.Caller) (action.WebKeys, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); r.keys.Settled(now) {
		r.keys = r.keys.Rotate(action.WebKey{ID: action.WebKeyID("k" + strconv.Itoa(len(r.keys)+1)), Algorithm: action.RS256, Created: now}, now)
	}
	return r.keys, nil
}

func (r *webKeyRing) KeySet(context.Context, string) ([]byte, time.Duration, error) {
	return []byte(`{"keys":[{"kty":"RSA","kid":"k1","alg":"RS256","n":"AQAB","e":"AQAB","use":"sig"}]}`), time.Minute, nil
}

func (r *webKeyRing) Discovery(string) ([]byte, time.Duration, error) { return []byte(`{}`), 0, nil }

func TestWebKeys(t *testing.T) {
	inWorld(t, func(w *world) {
		wantSaid(t, strings.Join(strings.Fields(w.ok("web-key", "rotate")), " "), "KEY ALGORITHM CREATED SIGNS PUBLISHED UNTIL k1 RS256 2000-01-01T00:00:00Z 2000-01-01T00:00:00Z -")
		for range 2 {
			wantSaid(t, strings.Join(strings.Fields(w.ok("web-key", "rotate")), " "), "k1 RS256 2000-01-01T00:00:00Z 2000-01-01T00:00:00Z 2000-01-02T02:00:00Z",
				"k2 RS256 2000-01-01T00:00:00Z 2000-01-01T01:00:00Z -")
		}
		wantSaid(t, w.ok("-o", "json", "web-key", "rotate"), `"signingDate": "2000-01-01T01:00:00Z"`)
		if got, want := w.ok("web-key", "list"), "KEY  KIND  ALGORITHM\nk1   RSA   RS256\n"; got != want {
			t.Errorf("printed %s", got)
		}
		wantSaid(t, w.ok("-o", "yaml", "web-key", "list"), "kid: k1")
		w.env["CALLOUT_TOKEN"] = "none"
		w.ok("web-key", "list") // anybody may
		delete(w.env, "CALLOUT_TOKEN")
		w.before = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				rw.WriteHeader(http.StatusBadGateway)
			}
			return r.Method == http.MethodGet
		}
		w.fails(1, []string{"web-key", "list"}, "502 Bad Gateway")
	})
}
