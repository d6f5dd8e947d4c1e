package pubsub_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

func TestTopics(t *testing.T) {
	each(t, func(w *world) {
		ctx, admin := w.Context(), w.TopicAdminClient
		want := &pubsubpb.Topic{Name: w.topic("t"), Labels: map[string]string{"a": "b"}, MessageRetentionDuration: durationpb.New(time.Hour), State: pubsubpb.Topic_ACTIVE}
		got, err := admin.CreateTopic(ctx, &pubsubpb.Topic{Name: want.Name, Labels: want.Labels, MessageRetentionDuration: want.MessageRetentionDuration})
		if err != nil {
			w.Fatal(err)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			w.Errorf("created (-want +got):\n%s", diff)
		}
		_, err = admin.CreateTopic(ctx, &pubsubpb.Topic{Name: want.Name})
		w.refused(err, codes.AlreadyExists, want.Name)

		got, err = admin.UpdateTopic(ctx, &pubsubpb.UpdateTopicRequest{
			Topic:      &pubsubpb.Topic{Name: want.Name, Labels: map[string]string{"c": "d"}},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"labels"}},
		})
		want.Labels = map[string]string{"c": "d"}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || err != nil {
			w.Errorf("updated: %v (-want +got):\n%s", err, diff)
		}
		got, err = admin.GetTopic(ctx, &pubsubpb.GetTopicRequest{Topic: want.Name})
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || err != nil {
			w.Errorf("read: %v (-want +got):\n%s", err, diff)
		}
		if err := admin.DeleteTopic(ctx, &pubsubpb.DeleteTopicRequest{Topic: want.Name}); err != nil {
			w.Error(err)
		}
		_, err = admin.GetTopic(ctx, &pubsubpb.GetTopicRequest{Topic: want.Name})
		w.refused(err, codes.NotFound, want.Name)
		err = admin.DeleteTopic(ctx, &pubsubpb.DeleteTopicRequest{Topic: want.Name})
		w.refused(err, codes.NotFound, want.Name)
	})
}

func TestSubscriptions(t *testing.T) {
	each(t, func(w *world) {
		ctx, admin := w.Context(), w.SubscriptionAdminClient
		topic := w.createTopic("t")
		got, err := admin.CreateSubscription(ctx, &pubsubpb.Subscription{Name: w.sub("s"), Topic: topic})
		if err != nil {
			w.Fatal(err)
		}
		want := &pubsubpb.Subscription{
			Name: w.sub("s"), Topic: topic, AckDeadlineSeconds: 10, PushConfig: &pubsubpb.PushConfig{},
			MessageRetentionDuration: durationpb.New(7 * 24 * time.Hour), State: pubsubpb.Subscription_ACTIVE,
			ExpirationPolicy: &pubsubpb.ExpirationPolicy{Ttl: durationpb.New(31 * 24 * time.Hour)},
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			w.Errorf("defaults (-want +got):\n%s", diff)
		}
		_, err = admin.CreateSubscription(ctx, &pubsubpb.Subscription{Name: w.sub("s"), Topic: topic})
		w.refused(err, codes.AlreadyExists, w.sub("s"))

		got, err = admin.UpdateSubscription(ctx, &pubsubpb.UpdateSubscriptionRequest{
			Subscription: &pubsubpb.Subscription{
				Name: want.Name, AckDeadlineSeconds: 77, Labels: map[string]string{"a": "b"},
				RetryPolicy: &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(time.Second), MaximumBackoff: durationpb.New(time.Minute)},
				Filter:      "not looked at", MessageRetentionDuration: durationpb.New(time.Hour), ExpirationPolicy: &pubsubpb.ExpirationPolicy{},
			},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"ack_deadline_seconds", "retry_policy.minimum_backoff", "expiration_policy"}},
		})
		want.AckDeadlineSeconds, want.ExpirationPolicy = 77, &pubsubpb.ExpirationPolicy{}
		want.RetryPolicy = &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(time.Second), MaximumBackoff: durationpb.New(10 * time.Minute)}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || err != nil {
			w.Errorf("updated: %v (-want +got):\n%s", err, diff)
		}
		if err := admin.ModifyPushConfig(ctx, &pubsubpb.ModifyPushConfigRequest{Subscription: want.Name, PushConfig: &pubsubpb.PushConfig{PushEndpoint: "https://example.com/push"}}); err != nil {
			w.Fatal(err)
		}
		got, err = admin.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: want.Name})
		if err != nil || got.PushConfig.PushEndpoint != "https://example.com/push" {
			w.Errorf("after ModifyPushConfig: %v, %v", got, err)
		}
		if err := admin.DeleteSubscription(ctx, &pubsubpb.DeleteSubscriptionRequest{Subscription: want.Name}); err != nil {
			w.Error(err)
		}
		_, err = admin.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: want.Name})
		w.refused(err, codes.NotFound, want.Name)
	})
}

// all reads an iterator to its end.
func all[T any](t testing.TB, next func() (T, error), name func(T) string) []string {
	t.Helper()
	var names []string
	for {
		v, err := next()
		if errors.Is(err, iterator.Done) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name(v))
	}
}

func self(s string) string { return s }

func TestLists(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.Context()
		var topics, subs []string
		for i := range 7 {
			topics = append(topics, w.createTopic(fmt.Sprint("t", i)))
			subs = append(subs, w.createSub(&pubsubpb.Subscription{Name: w.sub(fmt.Sprint("s", i)), Topic: topics[0]}))
		}
		mine := func(names []string) []string {
			return slices.DeleteFunc(names, func(s string) bool { return !strings.HasSuffix(s, w.run) })
		}
		req := &pubsubpb.ListTopicsRequest{Project: "projects/" + project, PageSize: 3}
		got := mine(all(w, w.TopicAdminClient.ListTopics(ctx, req).Next, (*pubsubpb.Topic).GetName))
		if diff := cmp.Diff(topics, got); diff != "" {
			w.Errorf("topics (-want +got):\n%s", diff)
		}
		got = mine(all(w, w.SubscriptionAdminClient.ListSubscriptions(ctx, &pubsubpb.ListSubscriptionsRequest{Project: "projects/" + project, PageSize: 3}).Next, (*pubsubpb.Subscription).GetName))
		if diff := cmp.Diff(subs, got); diff != "" {
			w.Errorf("subscriptions (-want +got):\n%s", diff)
		}
		got = all(w, w.TopicAdminClient.ListTopicSubscriptions(ctx, &pubsubpb.ListTopicSubscriptionsRequest{Topic: topics[0], PageSize: 3}).Next, self)
		if diff := cmp.Diff(subs, got); diff != "" {
			w.Errorf("subscriptions of the topic (-want +got):\n%s", diff)
		}
		if got := all(w, w.TopicAdminClient.ListTopicSubscriptions(ctx, &pubsubpb.ListTopicSubscriptionsRequest{Topic: topics[1]}).Next, self); len(got) != 0 {
			w.Errorf("subscriptions of another topic: %v", got)
		}
	})
}

func TestDeletedTopic(t *testing.T) {
	each(t, func(w *world) {
		sub := w.createSub(&pubsubpb.Subscription{})
		topic := w.topic("t")
		w.publishData(topic, "old")
		if err := w.TopicAdminClient.DeleteTopic(w.Context(), &pubsubpb.DeleteTopicRequest{Topic: topic}); err != nil {
			w.Fatal(err)
		}
		got, err := w.SubscriptionAdminClient.GetSubscription(w.Context(), &pubsubpb.GetSubscriptionRequest{Subscription: sub})
		if err != nil || got.Topic != "_deleted-topic_" {
			w.Errorf("topic of the subscription: %v, %v", got, err)
		}
		w.createTopic("t") // another of the same name
		w.publishData(topic, "new")
		received := w.pull(sub, 1)
		if diff := cmp.Diff([]string{"old"}, bodies(received)); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
		w.ack(sub, received...)
		if more := w.pull(sub, 0); len(more) != 0 {
			w.Errorf("a topic of the same name is another: got %v", bodies(more))
		}
	})
}

func TestDetach(t *testing.T) {
	each(t, func(w *world) {
		sub := w.createSub(&pubsubpb.Subscription{})
		w.publishData(w.topic("t"), "x")
		if _, err := w.TopicAdminClient.DetachSubscription(w.Context(), &pubsubpb.DetachSubscriptionRequest{Subscription: sub}); err != nil {
			w.Fatal(err)
		}
		got, err := w.SubscriptionAdminClient.GetSubscription(w.Context(), &pubsubpb.GetSubscriptionRequest{Subscription: sub})
		if err != nil || !got.Detached {
			w.Errorf("%v, %v", got, err)
		}
		_, err = w.SubscriptionAdminClient.Pull(w.Context(), &pubsubpb.PullRequest{Subscription: sub, MaxMessages: 1})
		w.refused(err, codes.FailedPrecondition, sub)
		if got := all(w, w.TopicAdminClient.ListTopicSubscriptions(w.Context(), &pubsubpb.ListTopicSubscriptionsRequest{Topic: w.topic("t")}).Next, self); len(got) != 0 {
			w.Errorf("subscriptions of the topic: %v", got)
		}
	})
}
