package pubsub

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// renewBefore is how long before its end a token is used no more: the receiver may hold it for a while too.
const renewBefore = 5 * time.Minute

type tokenKey struct{ audience, email string }

// tokens keeps the bearer tokens of pushes. Making one costs as much as the rest of a delivery.
type tokens struct {
	source TokenSource

	mu   sync.Mutex
	kept map[tokenKey]*token
}

// token is guarded by a lock that can be waited for with a deadline.
type token struct {
	lock   chan struct{}
	bearer string
	expiry time.Time
}

// get gives the token that is kept, or a new one; of those who ask at the same time, one asks the source.
func (t *tokens) get(ctx context.Context, key tokenKey) (string, error) {
	k := t.entry(key)
	select {
	case k.lock <- struct{}{}:
	case <-ctx.Done():
		return "", fmt.Errorf("push token: %w", ctx.Err())
	}
	defer func() { <-k.lock }()
	now := time.Now()
	if k.bearer != "" && now.Before(k.expiry.Add(-renewBefore)) {
		return k.bearer, nil
	}
	bearer, expiry, err := t.source.Token(ctx, key.audience, key.email)
	switch {
	case err == nil:
		k.bearer, k.expiry = bearer, expiry
	case k.bearer == "" || !now.Before(k.expiry):
		return "", fmt.Errorf("push token: %w", err)
	}
	return k.bearer, nil
}

func (t *tokens) entry(key tokenKey) *token {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.kept[key]
	if k == nil {
		k = &token{lock: make(chan struct{}, 1)}
		t.kept[key] = k
	}
	return k
}
