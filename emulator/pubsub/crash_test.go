package pubsub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
)

// tally is what clients were told, over all rounds of crashes.
type tally struct {
	mu        sync.Mutex
	published map[string]bool // answered publishes, by body
	received  map[string]int
	acked     map[string]bool // answered acknowledgements
	next      int
	frozen    bool // what is answered now comes too late to count: the power is gone
	target    int
	reached   chan struct{} // closed when so many are published
}

func newTally() *tally {
	return &tally{published: map[string]bool{}, received: map[string]int{}, acked: map[string]bool{}}
}

// aim starts a round that is over when n more are published.
func (y *tally) aim(n int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.frozen, y.target, y.reached = false, len(y.published)+n, make(chan struct{})
}

// publishUntil publishes small batches until an error.
func (y *tally) publishUntil(ctx context.Context, pub pubsubpb.PublisherClient) {
	for ctx.Err() == nil {
		y.mu.Lock()
		var batch []*pubsubpb.PubsubMessage
		for range 1 + y.next%3 {
			y.next++
			batch = append(batch, data(fmt.Sprintf("%08d", y.next)))
		}
		y.mu.Unlock()
		if _, err := pub.Publish(ctx, &pubsubpb.PublishRequest{Topic: topicT, Messages: batch}); err != nil {
			return
		}
		y.mu.Lock()
		over := y.frozen
		if !over {
			before := len(y.published)
			for _, m := range batch {
				y.published[string(m.Data)] = true
			}
			if before < y.target && len(y.published) >= y.target {
				close(y.reached)
			}
		}
		y.mu.Unlock()
		if over {
			return
		}
	}
}

// consumeUntil pulls and acknowledges most of what it gets, until an error or, where drain is set, until nothing comes.
func (y *tally) consumeUntil(ctx context.Context, sub pubsubpb.SubscriberClient, drain bool) {
	for ctx.Err() == nil {
		//lint:ignore SA1019 to know the end
		res, err := sub.Pull(ctx, &pubsubpb.PullRequest{Subscription: subS, MaxMessages: 50, ReturnImmediately: drain})
		if err != nil || drain && len(res.ReceivedMessages) == 0 {
			return
		}
		var ids, names []string
		y.mu.Lock()
		for _, m := range res.ReceivedMessages {
			y.received[string(m.Message.Data)]++
			if drain || len(y.received)%10 != 0 {
				ids, names = append(ids, m.AckId), append(names, string(m.Message.Data))
			}
		}
		y.mu.Unlock()
		if len(ids) == 0 {
			continue
		}
		if _, err := sub.Acknowledge(ctx, &pubsubpb.AcknowledgeRequest{Subscription: subS, AckIds: ids}); err != nil {
			return
		}
		y.mu.Lock()
		if !y.frozen {
			for _, n := range names {
				y.acked[n] = true
			}
		}
		y.mu.Unlock()
	}
}

// check holds that everything published was received.
func (y *tally) check(t *testing.T) {
	t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	if len(y.published) == 0 {
		t.Error("nothing was published")
	}
	for body := range y.published {
		if y.received[body] == 0 {
			t.Errorf("%s was published and never received", body)
		}
	}
}

// The power fails in the middle of publishing and acknowledging, again and again, and nothing that was answered is lost. Writes that were
// not synced survive, or don't, as the round's dice say.
func TestPowerCuts(t *testing.T) {
	const rounds = 12
	y := newTally()
	fs := vfs.NewCrashableMem()
	for round := range rounds {
		synctest.Test(t, func(t *testing.T) {
			store, err := storage.Open(storage.Options{FS: fs})
			if err != nil {
				t.Fatal(err)
			}
			g := start(t, store, pubsub.Options{})
			if round == 0 {
				g.subscribe(&pubsubpb.Subscription{AckDeadlineSeconds: 10})
			}
			y.aim(50 + rand.N(300))
			var work sync.WaitGroup
			ctx, cancel := context.WithCancel(t.Context())
			for range 4 {
				work.Go(func() { y.publishUntil(ctx, g.pub) })
			}
			work.Go(func() { y.consumeUntil(ctx, g.sub, false) })
			<-y.reached
			y.mu.Lock()
			y.frozen = true
			crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 25 * (round % 5), RNG: rand.New(rand.NewPCG(uint64(round), 1))})
			y.mu.Unlock()
			cancel()
			work.Wait()
			g.stop()
			_ = store.Close()
			fs = crashed
		})
	}
	synctest.Test(t, func(t *testing.T) {
		store, err := storage.Open(storage.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		g := start(t, store, pubsub.Options{})
		defer g.stop()
		y.consumeUntil(t.Context(), g.sub, true)
		y.check(t)
	})
}

// With exactly-once delivery an acknowledgement that was answered outlives a power cut, also where an older message is open.
func TestPowerCutExactlyOnce(t *testing.T) {
	fs := vfs.NewCrashableMem()
	acked := map[string]bool{}
	synctest.Test(t, func(t *testing.T) {
		store, err := storage.Open(storage.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		g := start(t, store, pubsub.Options{})
		g.subscribe(&pubsubpb.Subscription{EnableExactlyOnceDelivery: true})
		for i := range 30 {
			g.publish(data(fmt.Sprint(i)))
		}
		for i, m := range g.pullNow(30) {
			if i%3 != 0 {
				g.ack(m)
				acked[string(m.Message.Data)] = true
			}
		}
		fs = fs.CrashClone(vfs.CrashCloneCfg{})
		g.stop()
		_ = store.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		store, err := storage.Open(storage.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		g := start(t, store, pubsub.Options{})
		defer g.stop()
		got := bodies(g.pullNow(100))
		if len(got) != 10 {
			t.Errorf("%d messages after the power cut, want the 10 that were not acknowledged", len(got))
		}
		for _, body := range got {
			if acked[body] {
				t.Errorf("%s was acknowledged and comes again", body)
			}
		}
	})
}
