package keys_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/keys"
	"github.com/callout-dev/callout/shared/logging"
)

const here action.InstanceID = "here"

// database is where keys are read, after a while or not at all.
type database struct {
	mu    sync.Mutex
	keys  action.WebKeys
	err   error
	takes time.Duration
	reads atomic.Int64
}

func (d *database) WebKeys(ctx context.Context, _ action.InstanceID, _ action.WebKeys) (action.WebKeys, error) {
	d.reads.Add(1)
	d.mu.Lock()
	found, err, takes := d.keys, d.err, d.takes
	d.mu.Unlock()
	select {
	case <-time.After(takes):
		return found, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *database) set(change func(d *database)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *database) rotate(t *testing.T, id action.WebKeyID) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	d.set(func(d *database) {
		d.keys = d.keys.Rotate(action.WebKey{ID: id, Algorithm: "ES256", Public: private.Public(), Private: action.Hide(private), Created: now}, now)
	})
}

// inBubble gives a keeper of a database with one key.
func inBubble(t *testing.T, test func(t *testing.T, d *database, k *keys.Keeper)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &database{}
		d.rotate(t, "a")
		test(t, d, keys.New(d, logging.Discard()))
		synctest.Wait()
	})
}

func signs(t *testing.T, k *keys.Keeper, want action.WebKeyID) {
	t.Helper()
	got, err := k.Signing(t.Context(), here)
	if err != nil || got.ID != want {
		t.Errorf("%s signs, %v, want %s", got.ID, err, want)
	}
}

func published(t *testing.T, k *keys.Keeper, want int) {
	t.Helper()
	got, err := k.Published(t.Context(), here)
	if err != nil || len(got) != want {
		t.Errorf("%d published, %v, want %d", len(got), err, want)
	}
}

// took says how long do takes.
func took(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
}

func TestFreshness(t *testing.T) {
	inBubble(t, func(t *testing.T, d *database, k *keys.Keeper) {
		signs(t, k, "a")
		d.rotate(t, "b")
		time.Sleep(999 * time.Millisecond)
		if published(t, k, 1); d.reads.Load() != 1 {
			t.Errorf("%d reads within a second", d.reads.Load())
		}
		d.set(func(d *database) { d.takes = 100 * time.Millisecond })
		time.Sleep(501 * time.Millisecond)
		if lasted := took(func() { published(t, k, 1) }); lasted != 0 || d.reads.Load() > 2 {
			t.Errorf("after 1.5 s somebody waited %v", lasted)
		}
		time.Sleep(101 * time.Millisecond)
		if published(t, k, 2); d.reads.Load() != 2 {
			t.Errorf("%d reads, want one beside", d.reads.Load())
		}
		d.rotate(t, "c")
		time.Sleep(2*time.Second + 1)
		if lasted := took(func() { published(t, k, 3) }); lasted != 100*time.Millisecond {
			t.Errorf("after 2 s the look that comes first took %v", lasted)
		}
		d.rotate(t, "d")
		k.Forget(action.Change{Instance: here, Kind: action.ChangeTarget, ID: "t"})
		published(t, k, 3)
		k.Forget(action.Change{Instance: here, Kind: action.ChangeWebKeys, ID: action.WebKeysID})
		published(t, k, 4)
	})
}

// TestManyAskOnce: whoever asks while a look is under way waits for that one.
func TestManyAskOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, d *database, k *keys.Keeper) {
		d.set(func(d *database) { d.takes = time.Second })
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { signs(t, k, "a") })
		}
		all.Wait()
		if d.reads.Load() != 1 {
			t.Errorf("%d reads", d.reads.Load())
		}
	})
}

// TestWhatWasReadBeforeAChange is not taken for what is so after it.
func TestWhatWasReadBeforeAChange(t *testing.T) {
	inBubble(t, func(t *testing.T, d *database, k *keys.Keeper) {
		signs(t, k, "a")
		time.Sleep(1500 * time.Millisecond)
		d.set(func(d *database) { d.takes = 200 * time.Millisecond })
		published(t, k, 1) // a look goes beside
		synctest.Wait()
		d.rotate(t, "b")
		k.Forget(action.Change{Instance: here, Kind: action.ChangeWebKeys, ID: action.WebKeysID})
		published(t, k, 2)
		time.Sleep(time.Second / 2)
		published(t, k, 2)
	})
}

// TestWithoutTheDatabase: the known is used for a day, and nobody waits for long.
func TestWithoutTheDatabase(t *testing.T) {
	inBubble(t, func(t *testing.T, d *database, k *keys.Keeper) {
		signs(t, k, "a")
		down := errs.New(errs.Unavailable, "", "down")
		d.set(func(d *database) { d.err = down })
		time.Sleep(time.Hour)
		signs(t, k, "a")
		reads := d.reads.Load()
		signs(t, k, "a")
		if d.reads.Load() != reads {
			t.Error("a database that has just failed is asked at once")
		}
		d.set(func(d *database) { d.takes = time.Hour })
		time.Sleep(time.Second)
		if lasted := took(func() { signs(t, k, "a") }); lasted != 300*time.Millisecond {
			t.Errorf("for a database that hangs somebody waited %v", lasted)
		}
		time.Sleep(23*time.Hour + 1)
		if _, err := k.Signing(t.Context(), here); !errs.Is(err, errs.Unavailable) {
			t.Errorf("with keys that are a day old: %v", err)
		}
		published(t, k, 1)
		d.set(func(d *database) { d.err, d.takes = nil, 0 })
		time.Sleep(2 * time.Second)
		signs(t, k, "a")
	})
}

func TestNothingKnown(t *testing.T) {
	inBubble(t, func(t *testing.T, d *database, k *keys.Keeper) {
		down := errs.New(errs.Unavailable, "", "down")
		some := d.keys
		d.set(func(d *database) { d.keys, d.err = nil, down })
		if _, err := k.Signing(t.Context(), here); !errors.Is(err, down) {
			t.Errorf("got %v", err)
		}
		if _, err := k.Published(t.Context(), here); !errors.Is(err, down) {
			t.Errorf("got %v", err)
		}
		d.set(func(d *database) { d.err = nil })
		if _, err := k.Signing(t.Context(), here); err == nil || errs.KindOf(err) != errs.Internal || !errors.As(err, new(*errs.Error)) {
			t.Errorf("no key: %v", err)
		} else if e, _ := errs.As(err); e.ID != "QUERY-Opoh7" {
			t.Errorf("no key: %v", err)
		}
		published(t, k, 0)
		d.set(func(d *database) { d.keys = some })
		signs(t, k, "a") // that there was none is not believed for a second

		d.set(func(d *database) { d.takes = time.Hour })
		fresh := keys.New(d, logging.Discard())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := fresh.Signing(ctx, here); !errs.Is(err, errs.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller that cannot wait: %v", err)
		}
		time.Sleep(time.Minute)
	})
}

func TestKeyThatCannotBeOpened(t *testing.T) {
	inBubble(t, func(t *testing.T, d *database, k *keys.Keeper) {
		d.keys[0].Err = errors.New("no seal key has its id")
		if _, err := k.Signing(t.Context(), here); !errs.Is(err, errs.Internal) {
			t.Errorf("got %v", err)
		}
		published(t, k, 1)
	})
}

// TestOldCopySignsWithPublishedKey: a process that cannot look does as long as it may what the others do, or signs with a key that is still
// published.
func TestOldCopySignsWithPublishedKey(t *testing.T) {
	inBubble(t, func(t *testing.T, d *database, cut *keys.Keeper) {
		signs(t, cut, "a")
		store := &database{keys: d.keys}
		d.set(func(d *database) { d.err = errs.New(errs.Unavailable, "", "down") })
		others := keys.New(store, logging.Discard())
		time.Sleep(time.Second)
		store.rotate(t, "b")
		for range 24 * 6 {
			k, err := cut.Signing(t.Context(), here)
			if err != nil {
				break
			}
			time.Sleep(action.MaxTimeout) // it is on its way
			known, err := others.Published(t.Context(), here)
			if err != nil || !containsKey(known, k.ID) {
				t.Fatalf("%s is not published: %v", k.ID, err)
			}
			time.Sleep(10*time.Minute - action.MaxTimeout)
		}
		signs(t, others, "b")
		if _, err := cut.Signing(t.Context(), here); err == nil {
			t.Error("it signs for longer than a day")
		}
	})
}

func containsKey(known action.WebKeys, id action.WebKeyID) bool {
	for _, k := range known {
		if k.ID == id {
			return true
		}
	}
	return false
}
