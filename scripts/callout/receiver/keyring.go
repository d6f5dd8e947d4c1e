// Package receiver is what a target's endpoint looks like: it verifies the signature of each call and reports what came. People learn
// from it, so it does what a receiver should: bound the body, verify before anything else, and answer 401 to what does not verify.
package receiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/callout-dev/callout/shared/signature"
)

// lookInterval is the least time between two looks for new keys.
const lookInterval = 2 * time.Second

// Key is a target's signing key.
type Key struct{ Target, Value string }

// Learn reads the signing keys of all targets.
type Learn func(context.Context) ([]Key, error)

// Keyring verifies signatures with the keys it knows, and looks for new ones when none fits.
type Keyring struct {
	learn Learn

	mu    sync.Mutex
	keys  []Key // the one that fitted last comes first
	began time.Time
	err   error // of the last look

	looking chan struct{} // holds one token: one look at a time
}

// NewKeyring knows keys, and more through learn, which may be nil.
func NewKeyring(keys []Key, learn Learn) *Keyring {
	return &Keyring{keys: keys, learn: learn, looking: make(chan struct{}, 1)}
}

// Len is how many keys are known.
func (k *Keyring) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.keys)
}

// Learns says whether it looks for more.
func (k *Keyring) Learns() bool { return k.learn != nil }

// Look learns all keys now.
func (k *Keyring) Look(ctx context.Context) error {
	began := time.Now()
	keys, err := k.learn(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.began, k.err = began, err
	if err == nil {
		k.keys = keys
	}
	return err
}

// Verify says whose key signed a request. A signature that fits no known key may be that of a new target: it waits for a look that began
// after the request came, at most one every two seconds. The error is one of shared/signature, or wraps one.
func (k *Keyring) Verify(ctx context.Context, h http.Header, body []byte) (target string, err error) {
	came := time.Now()
	target, err = k.match(h, body, came)
	if k.learn == nil || !errors.Is(err, signature.ErrMismatch) {
		return target, err
	}
	if failed := k.lookAfter(ctx, came); failed != nil {
		return "", fmt.Errorf("%w (new keys could not be read: %w)", err, failed)
	}
	return k.match(h, body, came)
}

func (k *Keyring) lookAfter(ctx context.Context, came time.Time) error {
	select {
	case k.looking <- struct{}{}:
		defer func() { <-k.looking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	k.mu.Lock()
	began, err := k.began, k.err
	k.mu.Unlock()
	if began.After(came) {
		return err // the one before has looked for this one too
	}
	wait := time.NewTimer(time.Until(began.Add(lookInterval)))
	defer wait.Stop()
	select {
	case <-wait.C:
		return k.Look(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// match tries the keys one by one, to know whose it was.
func (k *Keyring) match(h http.Header, body []byte, now time.Time) (string, error) {
	k.mu.Lock()
	keys := k.keys
	k.mu.Unlock()
	err := signature.Verify(h, nil, now, 0, body) // what is wrong with any key
	for i, key := range keys {
		if !errors.Is(err, signature.ErrMismatch) {
			break
		}
		if err = signature.Verify(h, []string{key.Value}, now, 0, body); err == nil {
			k.prefer(i, keys)
			return key.Target, nil
		}
	}
	return "", err
}

// prefer puts the key that fitted first, unless the keys have changed meanwhile. The old slice may be in use: it stays as it is.
func (k *Keyring) prefer(i int, of []Key) {
	if i == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) != len(of) || &k.keys[0] != &of[0] {
		return
	}
	keys := make([]Key, 0, len(of))
	keys = append(append(append(keys, of[i]), of[:i]...), of[i+1:]...)
	k.keys = keys
}
