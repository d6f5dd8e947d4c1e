package receiver_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/scripts/callout/receiver"
	"github.com/callout-dev/callout/shared/signature"
)

const body = `{"event_type":"a.b"}`

func signed(keys ...string) http.Header {
	h := http.Header{}
	signature.Sign(h, keys, "id", time.Now(), []byte(body))
	return h
}

func TestKeyringSaysWhoseKeyItWas(t *testing.T) {
	ring := receiver.NewKeyring([]receiver.Key{{Target: "a", Value: "ka"}, {Target: "b", Value: "kb"}, {Target: "c", Value: "kc"}}, nil)
	late := http.Header{}
	signature.Sign(late, []string{"ka"}, "id", time.Now().Add(-10*time.Minute), []byte(body))
	tests := []struct {
		name   string
		header http.Header
		body   string
		target string
		err    error
	}{
		{"the last", signed("kc"), body, "c", nil},
		{"the first", signed("ka"), body, "a", nil},
		{"the last again", signed("kc"), body, "c", nil},
		{"one of two while they rotate", signed("new", "kb"), body, "b", nil},
		{"an unknown one", signed("kd"), body, "", signature.ErrMismatch},
		{"a changed body", signed("ka"), body + " ", "", signature.ErrMismatch},
		{"none", http.Header{}, body, "", signature.ErrMissing},
		{"a malformed one", http.Header{"Zitadel-Signature": {"x"}}, body, "", signature.ErrMalformed},
		{"an old one", late, body, "", signature.ErrTolerance},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			target, err := ring.Verify(t.Context(), test.header, []byte(test.body))
			if target != test.target || !errors.Is(err, test.err) {
				t.Errorf("got %q, %v, want %q, %v", target, err, test.target, test.err)
			}
		})
	}
}

// api is what keys are learnt from.
type api struct {
	mu    sync.Mutex
	keys  []receiver.Key
	err   error
	looks []time.Time
}

func (a *api) learn(context.Context) ([]receiver.Key, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looks = append(a.looks, time.Now())
	return a.keys, a.err
}

func (a *api) set(err error, keys ...receiver.Key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys, a.err = keys, err
}

func TestKeyringLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{}
		ring := receiver.NewKeyring(nil, a.learn)
		if err := ring.Look(t.Context()); err != nil || ring.Len() != 0 {
			t.Fatalf("%v, %d keys", err, ring.Len())
		}
		time.Sleep(time.Minute)
		a.set(nil, receiver.Key{Target: "a", Value: "ka"})
		began := time.Now()
		if target, err := ring.Verify(t.Context(), signed("ka"), []byte(body)); target != "a" || err != nil || time.Since(began) != 0 {
			t.Errorf("after %v: %q, %v", time.Since(began), target, err)
		}
		// A target that is made right after a look waits for the next one.
		a.set(nil, receiver.Key{Target: "a", Value: "ka"}, receiver.Key{Target: "b", Value: "kb"})
		if target, err := ring.Verify(t.Context(), signed("kb"), []byte(body)); target != "b" || err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("after %v: %q, %v", time.Since(began), target, err)
		}
		if target, err := ring.Verify(t.Context(), signed("ka"), []byte(body)); target != "a" || err != nil || len(a.looks) != 3 {
			t.Errorf("%q, %v after %d looks", target, err, len(a.looks))
		}
	})
}

func TestKeyringLooksSeldomHoweverManyFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{}
		ring := receiver.NewKeyring(nil, a.learn)
		var wait sync.WaitGroup
		var refused atomic.Int64
		for range 50 {
			wait.Go(func() {
				if _, err := ring.Verify(t.Context(), signed("unknown"), []byte(body)); errors.Is(err, signature.ErrMismatch) {
					refused.Add(1)
				}
			})
		}
		wait.Wait()
		if refused.Load() != 50 || len(a.looks) > 2 {
			t.Errorf("%d refused after %d looks, want 50 after 2 at most", refused.Load(), len(a.looks))
		}
		// What is wrong with any key is no reason to look.
		looks := len(a.looks)
		time.Sleep(time.Minute)
		if _, err := ring.Verify(t.Context(), http.Header{}, []byte(body)); !errors.Is(err, signature.ErrMissing) || len(a.looks) != looks {
			t.Errorf("%v after %d more looks", err, len(a.looks)-looks)
		}
	})
}

func TestKeyringWithoutItsAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("nobody answers")
		a := &api{keys: []receiver.Key{{Target: "a", Value: "ka"}}}
		ring := receiver.NewKeyring(nil, a.learn)
		if err := ring.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.set(down)
		if _, err := ring.Verify(t.Context(), signed("unknown"), []byte(body)); !errors.Is(err, signature.ErrMismatch) || !errors.Is(err, down) {
			t.Errorf("the error is %v, want both", err)
		}
		if target, err := ring.Verify(t.Context(), signed("ka"), []byte(body)); target != "a" || err != nil {
			t.Errorf("a key known before: %q, %v", target, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := ring.Verify(ctx, signed("unknown"), []byte(body)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller that goes: %v", err)
		}
	})
}
