package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

const (
	// keysPause is the least time between two looks at an issuer's keys, whatever tokens come: anybody can make up key ids.
	keysPause = 5 * time.Second
	// keysRetry is the same after a look that failed.
	keysRetry = time.Second
	// keysAge is when keys are looked at again though they still fit: one that was withdrawn must not be trusted for good.
	keysAge = 10 * time.Minute
)

// keySet is an issuer's published keys. It is not go-oidc's, which asks the issuer for each token that no key fits, and never again
// where one does.
type keySet struct {
	uri    string
	client *http.Client

	flight singleflight.Group
	mu     sync.Mutex
	keys   []jose.JSONWebKey
	looked time.Time // when the last look ended
	failed error     // of the last look
}

type unreachableKey struct{}

// VerifySignature gives the payload of a token that one of the keys has signed. That keys cannot be fetched it tells through the context
// too: the verifier above it flattens errors to text.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSigned(token, joseAlgorithms())
	if err != nil {
		return nil, err
	}
	keys, state := k.known()
	payload, ok := check(signed, keys)
	switch {
	case ok && state.stale:
		k.flight.DoChan("", k.look) // beside: what fits is good until the answer is there
		return payload, nil
	case ok:
		return payload, nil
	case state.due:
		keys, err = k.wait(ctx)
	default:
		err = state.failed
	}
	if err != nil {
		if unreachable, ok := ctx.Value(unreachableKey{}).(*bool); ok {
			*unreachable = true
		}
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	if payload, ok = check(signed, keys); !ok {
		return nil, errors.New("no published key fits the signature")
	}
	return payload, nil
}

func check(signed *jose.JSONWebSignature, keys []jose.JSONWebKey) ([]byte, bool) {
	if len(signed.Signatures) != 1 {
		return nil, false
	}
	id := signed.Signatures[0].Header.KeyID
	for _, key := range keys {
		if id == "" || id == key.KeyID {
			if payload, err := signed.Verify(&key); err == nil {
				return payload, true
			}
		}
	}
	return nil, false
}

// lookState says what may be done about the keys now.
type lookState struct {
	due    bool  // the pause is over
	stale  bool  // due, and the keys are old or the last look failed
	failed error // of the last look
}

func (k *keySet) known() ([]jose.JSONWebKey, lookState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	age, pause := time.Since(k.looked), keysPause
	if k.failed != nil {
		pause = keysRetry
	}
	due := age >= pause
	return k.keys, lookState{due: due, stale: due && (k.failed != nil || age >= keysAge), failed: k.failed}
}

// wait gives the keys after a look, the one under way if there is one.
func (k *keySet) wait(ctx context.Context) ([]jose.JSONWebKey, error) {
	select {
	case result := <-k.flight.DoChan("", k.look):
		keys, _ := k.known()
		return keys, result.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// look fetches the keys, unless somebody just has.
func (k *keySet) look() (any, error) {
	if _, state := k.known(); !state.due {
		return nil, state.failed
	}
	keys, err := k.fetch()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.looked, k.failed = time.Now(), err
	if err == nil {
		k.keys = keys
	}
	return nil, err
}

func (k *keySet) fetch() ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(context.Background(), discoverTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.uri, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Cache-Control", "no-cache")
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := answer(k.client, request, &set); err != nil {
		return nil, err
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && key.Use != "enc" { // RFC 7517 section 5: what is not understood is ignored
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key that can be used")
	}
	return keys, nil
}
