package pubsub_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
)

// A store with a record that cannot be read is refused in words that name it, and nothing in it is touched.
func TestDamagedStoreIsRefused(t *testing.T) {
	tests := []struct{ name, key, says string }{
		{"topic", "pt" + topicT, topicT},
		{"subscription", "ps" + subS, subS},
		{"highest number", "ph", "highest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, err := storage.Open(storage.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				g := start(t, store, pubsub.Options{})
				g.subscribe(&pubsubpb.Subscription{})
				g.publish(data("x"))
				g.stop()
				good, err := store.Get([]byte(tt.key))
				if err != nil {
					t.Fatal(err)
				}
				set := func(value []byte) {
					b := store.NewBatch()
					b.Set([]byte(tt.key), value)
					if err := store.Commit(b); err != nil {
						t.Fatal(err)
					}
				}
				set([]byte("bad"))
				if _, err := pubsub.New(store, pubsub.Options{}); err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v, want an error that names %q", err, tt.says)
				}
				set(good)
				g = start(t, store, pubsub.Options{})
				defer g.stop()
				if got := bodies(g.pullNow(1)); len(got) != 1 {
					t.Errorf("after it was repaired: %v", got)
				}
			})
		})
	}
}
