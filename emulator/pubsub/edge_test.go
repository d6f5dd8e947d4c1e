package pubsub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
)

// A snapshot taken right after a restart, before anything is in memory, and used after another, is what was open when it was taken.
func TestSnapshotOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := storage.Open(storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		g := start(t, store, pubsub.Options{})
		g.subscribe(&pubsubpb.Subscription{})
		g.publish(data("1"), data("2"), data("3"), data("4"), data("5"))
		got := g.pullNow(5)
		g.ack(got[1], got[3])
		g.stop()

		g = start(t, store, pubsub.Options{})
		const name = "projects/p/snapshots/snap"
		must(t, func() (*pubsubpb.Snapshot, error) {
			return g.sub.CreateSnapshot(t.Context(), &pubsubpb.CreateSnapshotRequest{Name: name, Subscription: subS})
		})
		g.ack(g.pullNow(5)...)
		g.publish(data("6"))
		g.ack(g.pullNow(5)...)
		g.stop()

		g = start(t, store, pubsub.Options{})
		defer g.stop()
		if got := g.pullNow(10); len(got) != 0 {
			t.Errorf("before the seek: %v", bodies(got))
		}
		must(t, func() (*pubsubpb.SeekResponse, error) {
			return g.sub.Seek(t.Context(), &pubsubpb.SeekRequest{Subscription: subS, Target: &pubsubpb.SeekRequest_Snapshot{Snapshot: name}})
		})
		if diff := cmp.Diff([]string{"1", "3", "5", "6"}, bodies(g.pullNow(10))); diff != "" {
			t.Errorf("after the seek (-want +got):\n%s", diff)
		}
	})
}

// A stream whose client does not read takes no more than fits its limits, and what was not sent goes to others at once when it breaks.
func TestStreamThatIsNotRead(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{})
		ctx, cancel := context.WithCancel(g.Context())
		g.open(ctx, &pubsubpb.StreamingPullRequest{})
		const n, size = 50, 400_000
		for range n {
			g.publish(data(strings.Repeat("x", size)))
		}
		synctest.Wait()
		if len(g.pullNow(1000)) == 0 {

			g.Fatal("a stream that is not read took everything")
		}
		cancel()
		synctest.Wait()
		got := 0
		for {
			part := len(g.pullNow(1000))
			if part == 0 {
				break
			}
			got += part
		}
		if got == 0 {
			g.Error("nothing came back when the stream broke")
		}
		time.Sleep(11 * time.Second)
		total := map[string]bool{}
		for {
			part := g.pullNow(1000)
			if len(part) == 0 {
				break
			}
			for _, r := range part {
				total[r.Message.MessageId] = true
			}
			g.ack(part...)
		}
		if len(total) != n {
			g.Errorf("%d of %d messages in the end", len(total), n)
		}
	})
}

// An endpoint that is slower than the publishers gets everything, in order, most of it from disk.
func TestSlowEndpoint(t *testing.T) {
	e := &endpoint{answer: func(*http.Request, []byte) (int, error) { time.Sleep(10 * time.Millisecond); return 200, nil }}
	bubble(t, pubsub.Options{Transport: e, PushWindow: 1}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{PushConfig: pushTo(hook)})
		const n = 3000
		var want []string
		for i := range n / 100 {
			var batch []*pubsubpb.PubsubMessage
			for j := range 100 {
				want = append(want, fmt.Sprint(100*i+j))
				batch = append(batch, data(want[len(want)-1]))
			}
			g.publish(batch...)
		}
		time.Sleep(time.Minute)
		var got []string
		for _, p := range e.got() {
			var body struct{ Message struct{ Data []byte } }
			_ = json.Unmarshal([]byte(p.body), &body)
			got = append(got, string(body.Message.Data))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			g.Errorf("%d pushes (-want +got):\n%.500s", len(got), diff)
		}
	})
}

// Messages that a filter refuses are done with, on disk too.
func TestFilteredMessagesLeaveTheDisk(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{Filter: "attributes:yes"})
		for range 60 {
			var batch []*pubsubpb.PubsubMessage
			for range 100 {
				batch = append(batch, &pubsubpb.PubsubMessage{Attributes: map[string]string{"no": ""}})
			}
			g.publish(batch...)
		}
		g.publish(&pubsubpb.PubsubMessage{Data: []byte("x"), Attributes: map[string]string{"yes": ""}})
		got := g.pullNow(10)
		if diff := cmp.Diff([]string{"x"}, bodies(got)); diff != "" {
			g.Errorf("(-want +got):\n%s", diff)
		}
		g.ack(got...)
		time.Sleep(2 * time.Minute)
		if n := g.stored(); n != 0 {
			g.Errorf("%d messages stored", n)
		}
	})
}

// In a lane, a message that moves to the dead-letter topic or grows too old lets the next go on.
func TestOrderedMessagesThatNobodyTakes(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.topic(topicD)
		g.subscribe(&pubsubpb.Subscription{
			EnableMessageOrdering: true, MessageRetentionDuration: durationpb.New(10 * time.Minute), AckDeadlineSeconds: 600,
			DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: topicD, MaxDeliveryAttempts: 5},
		})
		g.publish(keyed("k", "1"), keyed("k", "2"), keyed("k", "3"))
		for range 5 {
			g.nack(g.pullNow(1)...)
			synctest.Wait()
		}
		got := g.pullNow(1)
		if diff := cmp.Diff([]string{"2"}, bodies(got)); diff != "" {
			g.Errorf("after the first went to the dead letters (-want +got):\n%s", diff)
		}
		time.Sleep(9 * time.Minute)
		g.publish(keyed("k", "4"))
		time.Sleep(2 * time.Minute)
		if diff := cmp.Diff([]string{"4"}, bodies(g.pullNow(1))); diff != "" {
			g.Errorf("after the others grew too old (-want +got):\n%s", diff)
		}
	})
}

// What production has and this server has not is refused by name, not ignored.
func TestUnsupportedFields(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.topic(topicT)
		topic := func(conf *pubsubpb.Topic) error {
			conf.Name = topicD
			_, err := g.pub.CreateTopic(g.Context(), conf)
			return err
		}
		sub := func(conf *pubsubpb.Subscription) error {
			conf.Name, conf.Topic = subS, topicT
			_, err := g.sub.CreateSubscription(g.Context(), conf)
			return err
		}
		oidc := pushTo(hook)
		oidc.AuthenticationMethod = &pubsubpb.PushConfig_OidcToken_{OidcToken: &pubsubpb.PushConfig_OidcToken{ServiceAccountEmail: "a@b"}}
		version := pushTo(hook)
		version.Attributes = map[string]string{"x-goog-version": "v1beta1"}
		for field, tt := range map[string]struct {
			err  error
			code codes.Code
		}{
			"schema_settings":                {topic(&pubsubpb.Topic{SchemaSettings: &pubsubpb.SchemaSettings{}}), codes.Unimplemented},
			"kms_key_name":                   {topic(&pubsubpb.Topic{KmsKeyName: "k"}), codes.Unimplemented},
			"ingestion_data_source_settings": {topic(&pubsubpb.Topic{IngestionDataSourceSettings: &pubsubpb.IngestionDataSourceSettings{}}), codes.Unimplemented},
			"message_transforms":             {topic(&pubsubpb.Topic{MessageTransforms: []*pubsubpb.MessageTransform{{}}}), codes.Unimplemented},
			"message_storage_policy":         {topic(&pubsubpb.Topic{MessageStoragePolicy: &pubsubpb.MessageStoragePolicy{}}), codes.InvalidArgument},
			"bigquery_config":                {sub(&pubsubpb.Subscription{BigqueryConfig: &pubsubpb.BigQueryConfig{}}), codes.Unimplemented},
			"cloud_storage_config":           {sub(&pubsubpb.Subscription{CloudStorageConfig: &pubsubpb.CloudStorageConfig{}}), codes.Unimplemented},
			"bigtable_config":                {sub(&pubsubpb.Subscription{BigtableConfig: &pubsubpb.BigtableConfig{}}), codes.Unimplemented},
			"push_config.oidc_token":         {sub(&pubsubpb.Subscription{PushConfig: oidc}), codes.FailedPrecondition},
			"push_config.attributes":         {sub(&pubsubpb.Subscription{PushConfig: version}), codes.InvalidArgument},
		} {
			if status.Code(tt.err) != tt.code || !strings.Contains(fmt.Sprint(tt.err), field) {
				g.Errorf("%s: got %v, want %v", field, tt.err, tt.code)
			}
		}
	})
}
