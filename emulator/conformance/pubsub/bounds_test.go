package pubsub_test

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// What is just within the bounds is accepted.
func TestBounds(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.Context()
		prefix := "projects/" + project + "/topics/"
		for _, id := range []string{"abc", "A" + strings.Repeat("z", 254-len(w.run)), "a-_.~+%9", "goo"} {
			name := prefix + id
			if id != "abc" && id != "goo" {
				name += w.run
			}
			if _, err := w.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: name}); err != nil {
				w.Errorf("%s: %v", id, err)
			}
			if err := w.TopicAdminClient.DeleteTopic(ctx, &pubsubpb.DeleteTopicRequest{Topic: name}); err != nil {
				w.Errorf("%s: %v", id, err)
			}
		}
		topic := w.createTopic("t")
		for id, conf := range map[string]*pubsubpb.Subscription{
			"least": {
				AckDeadlineSeconds: 10, MessageRetentionDuration: durationpb.New(10 * time.Minute), ExpirationPolicy: &pubsubpb.ExpirationPolicy{Ttl: durationpb.New(24 * time.Hour)},
				RetryPolicy:      &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(0), MaximumBackoff: durationpb.New(0)},
				DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: topic, MaxDeliveryAttempts: 5},
				Labels:           map[string]string{"a": ""},
			},
			"most": {
				AckDeadlineSeconds: 600, MessageRetentionDuration: durationpb.New(31 * 24 * time.Hour), ExpirationPolicy: &pubsubpb.ExpirationPolicy{},
				RetryPolicy:      &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(600 * time.Second), MaximumBackoff: durationpb.New(600 * time.Second)},
				DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: topic, MaxDeliveryAttempts: 100},
				Filter:           "attributes:" + strings.Repeat("a", 245),
				Labels:           map[string]string{strings.Repeat("k", 63): strings.Repeat("v", 63)},
			},
		} {
			conf.Name, conf.Topic = w.sub(id), topic
			if _, err := w.SubscriptionAdminClient.CreateSubscription(ctx, conf); err != nil {
				w.Errorf("%s: %v", id, err)
			}
		}
		sub := w.createSub(&pubsubpb.Subscription{Topic: topic})
		res, err := w.TopicAdminClient.Publish(ctx, &pubsubpb.PublishRequest{Topic: topic, Messages: many(1000)})
		if err != nil || len(res.MessageIds) != 1000 {
			w.Errorf("as many messages as may be: %d, %v", len(res.GetMessageIds()), err)
		}
		if got := w.pull(sub, 1000); len(got) != 1000 {
			w.Errorf("%d messages came", len(got))
		}
	})
}

// An update changes what its mask names, down to fields of messages in it, and clears what the request leaves out.
func TestUpdateMasks(t *testing.T) {
	each(t, func(w *world) {
		topic := w.createTopic("t")
		name := w.createSub(&pubsubpb.Subscription{
			Topic: topic, Labels: map[string]string{"a": "b"},
			DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: topic, MaxDeliveryAttempts: 9},
			RetryPolicy:      &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(time.Second)},
		})
		update := func(paths []string, s *pubsubpb.Subscription) *pubsubpb.Subscription {
			w.Helper()
			s.Name = name
			got, err := w.SubscriptionAdminClient.UpdateSubscription(w.Context(), &pubsubpb.UpdateSubscriptionRequest{Subscription: s, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
			if err != nil {
				w.Fatalf("%v: %v", paths, err)
			}
			return got
		}
		got := update([]string{"dead_letter_policy.max_delivery_attempts"}, &pubsubpb.Subscription{DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{MaxDeliveryAttempts: 7}})
		if p := got.DeadLetterPolicy; p.GetMaxDeliveryAttempts() != 7 || p.GetDeadLetterTopic() != topic {
			w.Errorf("dead_letter_policy.max_delivery_attempts: %v", p)
		}
		got = update([]string{"dead_letter_policy", "retry_policy", "labels"}, &pubsubpb.Subscription{})
		if got.DeadLetterPolicy != nil || got.RetryPolicy != nil || len(got.Labels) != 0 {
			w.Errorf("cleared: %v", got)
		}
		got = update([]string{"push_config"}, &pubsubpb.Subscription{PushConfig: &pubsubpb.PushConfig{PushEndpoint: "https://example.com/a"}})
		if got.PushConfig.PushEndpoint != "https://example.com/a" || got.AckDeadlineSeconds != 10 {
			w.Errorf("push_config: %v", got)
		}
		if got = update([]string{"push_config"}, &pubsubpb.Subscription{}); got.PushConfig.GetPushEndpoint() != "" {
			w.Errorf("push_config cleared: %v", got)
		}
	})
}
