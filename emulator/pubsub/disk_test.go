package pubsub_test

import (
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
)

// While the disk is full or broken, every change is refused and leaves no trace, reading and delivering go on, and once it is back so is
// everything else.
func TestIllDisk(t *testing.T) {
	tests := []struct {
		name  string
		cause error
		want  codes.Code
	}{
		{"full", syscall.ENOSPC, codes.ResourceExhausted},
		{"broken", syscall.EIO, codes.Unavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ill atomic.Bool
				fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
					if ill.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
						return tt.cause
					}
					return nil
				}))
				store, err := storage.Open(storage.Options{FS: fs})
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				g := start(t, store, pubsub.Options{})
				defer g.stop()
				g.subscribe(&pubsubpb.Subscription{})
				g.publish(data("before"))

				ill.Store(true)
				for name, change := range map[string]func() error{
					"publish": func() error {
						_, err := g.pub.Publish(t.Context(), &pubsubpb.PublishRequest{Topic: topicT, Messages: []*pubsubpb.PubsubMessage{data("during")}})
						return err
					},
					"create topic": func() error {
						_, err := g.pub.CreateTopic(t.Context(), &pubsubpb.Topic{Name: topicD})
						return err
					},
					"create subscription": func() error {
						_, err := g.sub.CreateSubscription(t.Context(), &pubsubpb.Subscription{Name: subS + "2", Topic: topicT})
						return err
					},
					"delete subscription": func() error {
						_, err := g.sub.DeleteSubscription(t.Context(), &pubsubpb.DeleteSubscriptionRequest{Subscription: subS})
						return err
					},
				} {
					if err := change(); status.Code(err) != tt.want {
						t.Errorf("%s: got %v, want %v", name, err, tt.want)
					}
				}
				got := g.pullNow(10)
				if diff := cmp.Diff([]string{"before"}, bodies(got)); diff != "" {
					t.Errorf("while the disk is ill (-want +got):\n%s", diff)
				}

				ill.Store(false)
				time.Sleep(time.Minute) // the store tries again, and the deadline passes
				g.publish(data("after"))
				got = g.pullNow(10)
				if diff := cmp.Diff([]string{"before", "after"}, bodies(got)); diff != "" {
					t.Errorf("when the disk is well again (-want +got):\n%s", diff)
				}
				g.ack(got...)
			})
		})
	}
}
