package pubsub_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
)

// flaky is an endpoint that answers as its dice say, and notes what it accepted.
type flaky struct {
	t *testing.T

	mu       sync.Mutex
	rng      *rand.Rand
	well     bool // no more failures
	accepted map[int]int
	order    map[string][]int // accepted, by key
	tries    map[int]int
}

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	var body struct {
		Message struct {
			Data        []byte
			OrderingKey string
		}
		DeliveryAttempt int
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		f.t.Error(err)
	}
	n, _ := strconv.Atoi(string(body.Message.Data))
	f.mu.Lock()
	f.tries[n]++
	dice := f.rng.IntN(10)
	if f.well {
		dice = 9
	}
	f.mu.Unlock()
	switch {
	case dice < 2:
		return &http.Response{StatusCode: 500 + dice, Body: http.NoBody, Request: r}, nil
	case dice == 2:
		return nil, errNoAnswer
	case dice == 3:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case dice < 6:
		time.Sleep(time.Duration(dice) * time.Second)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accepted[n]++
	f.order[body.Message.OrderingKey] = append(f.order[body.Message.OrderingKey], n)
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
}

// check holds that all up to n are accepted once, and keys in order.
func (f *flaky) check(n int, ordered bool) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := 1; i <= n; i++ {
		if f.accepted[i] != 1 {
			f.t.Errorf("%d was accepted %d times in %d tries", i, f.accepted[i], f.tries[i])
		}
	}
	for key, order := range f.order {
		for i := 1; ordered && i < len(order); i++ {
			if order[i] < order[i-1] {
				f.t.Errorf("key %s: %d after %d", key, order[i], order[i-1])
			}
		}
	}
}

// Whatever an endpoint does, and through clean restarts: each message is accepted once, keys keep their order, nothing stays on disk.
func TestFlakyEndpoint(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, err := storage.Open(storage.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				rng := rand.New(rand.NewPCG(seed, 3))
				f := &flaky{t: t, rng: rand.New(rand.NewPCG(seed, 4)), accepted: map[int]int{}, order: map[string][]int{}, tries: map[int]int{}}
				o := pubsub.Options{Transport: f, PushWindow: 1 + int(seed)*3}
				g := start(t, store, o)
				ordered := seed%2 == 0
				g.subscribe(&pubsubpb.Subscription{
					PushConfig: pushTo(hook), EnableMessageOrdering: ordered,
					RetryPolicy: &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(time.Second), MaximumBackoff: durationpb.New(5 * time.Second)},
				})
				n := 0
				for range 60 {
					var batch []*pubsubpb.PubsubMessage
					key := fmt.Sprint("k", rng.IntN(4))
					for range 1 + rng.IntN(4) {
						n++
						batch = append(batch, keyed(key, strconv.Itoa(n)))
					}
					g.publish(batch...)
					time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
					if rng.IntN(20) == 0 {
						g.stop()
						g = start(t, store, o)
					}
				}
				f.mu.Lock()
				f.well = true
				f.mu.Unlock()
				time.Sleep(20 * time.Minute)
				f.check(n, ordered)
				if left := g.stored(); left != 0 {
					t.Errorf("%d messages are stored in the end", left)
				}
				g.stop()
			})
		})
	}
}
