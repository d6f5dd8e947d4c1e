package pubsub_test

import (
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/callout-dev/callout/emulator/pubsub"
)

// A hostile server uses its freedom, and loses nothing; the same seed is the same hostility.
func TestHostile(t *testing.T) {
	run := func(seed uint64) (fates string, duplicates int) {
		e := &endpoint{}
		bubble(t, pubsub.Options{Transport: e, PushWindow: 1, Hostile: &pubsub.Hostile{Seed: seed, Duplicate: .2, Reorder: .3, Delay: .3, DropAck: .2}}, func(g *ground) {
			g.subscribe(&pubsubpb.Subscription{PushConfig: pushTo(hook)})
			const n = 50
			seen := map[string]int{}
			for i := range n {
				g.publish(&pubsubpb.PubsubMessage{Data: []byte("x"), Attributes: map[string]string{"n": fmt.Sprint(i)}})
			}
			time.Sleep(10 * time.Minute)
			for _, p := range e.got() {
				var i int
				_, _ = fmt.Sscanf(p.body[len(`{"message":{"data":"eA==","attributes":{"n":"`):], "%d", &i)
				seen[fmt.Sprint(i)]++
			}
			if len(seen) != n {
				g.Errorf("%d of %d messages arrived", len(seen), n)
			}
			fates = fmt.Sprint(seen)
			duplicates = len(e.got()) - n
			if left := g.stored(); left != 0 {
				g.Errorf("%d messages are never done with", left)
			}
		})
		return fates, duplicates
	}
	fates, duplicates := run(1)
	if duplicates == 0 {
		t.Error("no duplicates")
	}
	if again, _ := run(1); again != fates {
		t.Errorf("the same seed:\n%s\n%s", fates, again)
	}
	if other, _ := run(2); other == fates {
		t.Error("another seed is the same")
	}
}
