package pubsub

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/emulator/storage"
)

type accepting struct{}

func (accepting) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
}

// A subscription expires when its policy's time has passed since anybody used it: a pull, an open stream, an accepted push. The day passes
// as an argument, because the store's engine wakes ten times a second and a virtual day costs seconds.
func TestSubscriptionsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := storage.Open(storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		s, err := New(store, Options{Transport: accepting{}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close(context.Background())
		const topic = "projects/p/topics/ttt"
		if _, err := (publisher{s: s}).CreateTopic(t.Context(), &pubsubpb.Topic{Name: topic}); err != nil {
			t.Fatal(err)
		}
		name := func(id string) string { return "projects/p/subscriptions/" + id }
		day := &pubsubpb.ExpirationPolicy{Ttl: durationpb.New(24 * time.Hour)}
		for id, conf := range map[string]*pubsubpb.Subscription{
			"idle":   {ExpirationPolicy: day},
			"pulled": {ExpirationPolicy: day},
			"open":   {ExpirationPolicy: day},
			"never":  {ExpirationPolicy: &pubsubpb.ExpirationPolicy{}},
			"pushed": {ExpirationPolicy: day, PushConfig: &pubsubpb.PushConfig{PushEndpoint: "http://hook.test/"}},
		} {
			conf.Name, conf.Topic, conf.MessageRetentionDuration = name(id), topic, durationpb.New(time.Hour)
			if _, err := (subscriber{s: s}).CreateSubscription(t.Context(), conf); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Hour)
		if _, err := (publisher{s: s}).Publish(t.Context(), &pubsubpb.PublishRequest{Topic: topic, Messages: []*pubsubpb.PubsubMessage{{Data: []byte("x")}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := (subscriber{s: s}).Pull(t.Context(), &pubsubpb.PullRequest{Subscription: name("pulled"), MaxMessages: 1}); err != nil {
			t.Fatal(err)
		}
		if err := s.subs[subscriptionName(name("open"))].addConsumer(&consumer{deadline: time.Hour, take: func(handout) {}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		check := func(now time.Time, want map[string]codes.Code) {
			t.Helper()
			s.sweepOnce(now)
			for id, code := range want {
				_, err := (subscriber{s: s}).GetSubscription(t.Context(), &pubsubpb.GetSubscriptionRequest{Subscription: name(id)})
				if status.Code(err) != code {
					t.Errorf("%v later, %s: got %v, want %v", time.Until(now), id, err, code)
				}
			}
		}
		check(time.Now().Add(23*time.Hour), map[string]codes.Code{"idle": codes.NotFound, "pulled": codes.OK, "open": codes.OK, "never": codes.OK, "pushed": codes.OK})
		check(time.Now().Add(25*time.Hour), map[string]codes.Code{"pulled": codes.NotFound, "open": codes.OK, "never": codes.OK, "pushed": codes.NotFound})
	})
}
