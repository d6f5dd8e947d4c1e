package pubsub_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// refusal is one bad request: the code of the answer, and what its text must name.
type refusal struct {
	name  string
	code  codes.Code
	field string
	do    func(w *world, ctx context.Context) error
}

func createTopic(t *pubsubpb.Topic) func(*world, context.Context) error {
	return func(w *world, ctx context.Context) error {
		_, err := w.TopicAdminClient.CreateTopic(ctx, t)
		return err
	}
}

// createSub tries a subscription "new" on the topic "t", as change leaves it.
func createSub(change func(w *world, s *pubsubpb.Subscription)) func(*world, context.Context) error {
	return func(w *world, ctx context.Context) error {
		s := &pubsubpb.Subscription{Name: w.sub("new"), Topic: w.topic("t")}
		change(w, s)
		_, err := w.SubscriptionAdminClient.CreateSubscription(ctx, s)
		return err
	}
}

func updateSub(paths []string, change func(w *world, s *pubsubpb.Subscription)) func(*world, context.Context) error {
	return func(w *world, ctx context.Context) error {
		s := &pubsubpb.Subscription{Name: w.sub("s")}
		change(w, s)
		_, err := w.SubscriptionAdminClient.UpdateSubscription(ctx, &pubsubpb.UpdateSubscriptionRequest{Subscription: s, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
		return err
	}
}

func publish(messages ...*pubsubpb.PubsubMessage) func(*world, context.Context) error {
	return func(w *world, ctx context.Context) error {
		_, err := w.TopicAdminClient.Publish(ctx, &pubsubpb.PublishRequest{Topic: w.topic("t"), Messages: messages})
		return err
	}
}

func attributes(n int) map[string]string {
	a := map[string]string{}
	for i := range n {
		a[fmt.Sprint(i)] = "x"
	}
	return a
}

func labels(n int) map[string]string {
	l := map[string]string{}
	for i := range n {
		l[fmt.Sprint("l", i)] = "x"
	}
	return l
}

func many(n int) []*pubsubpb.PubsubMessage {
	all := make([]*pubsubpb.PubsubMessage, n)
	for i := range all {
		all[i] = &pubsubpb.PubsubMessage{Data: []byte("x")}
	}
	return all
}

func nothing(*world, *pubsubpb.Subscription) {}

var refusals = []refusal{
	{"topic without a name", codes.InvalidArgument, "name", createTopic(&pubsubpb.Topic{})},
	{"topic of another form", codes.InvalidArgument, "name", createTopic(&pubsubpb.Topic{Name: "topics/abc"})},
	{"topic that is a subscription", codes.InvalidArgument, "name", createTopic(&pubsubpb.Topic{Name: "projects/p/subscriptions/abc"})},
	{"topic id too short", codes.InvalidArgument, "name", createTopic(&pubsubpb.Topic{Name: "projects/p/topics/ab"})},
	{"topic id too long", codes.InvalidArgument, "name", createTopic(&pubsubpb.Topic{Name: "projects/p/topics/a" + strings.Repeat("b", 255)})},
	{"topic id starts with a digit", codes.InvalidArgument, "name", createTopic(&pubsubpb.Topic{Name: "projects/p/topics/1abc"})},
	{"topic id starts with goog", codes.InvalidArgument, "name", createTopic(&pubsubpb.Topic{Name: "projects/p/topics/google"})},
	{"topic id with a space", codes.InvalidArgument, "name", createTopic(&pubsubpb.Topic{Name: "projects/p/topics/a bc"})},
	{"topic retention too short", codes.InvalidArgument, "message_retention_duration", createTopic(&pubsubpb.Topic{Name: "projects/p/topics/abc", MessageRetentionDuration: durationpb.New(time.Minute)})},
	{"topic retention too long", codes.InvalidArgument, "message_retention_duration", createTopic(&pubsubpb.Topic{Name: "projects/p/topics/abc", MessageRetentionDuration: durationpb.New(32 * 24 * time.Hour)})},
	{"topic retention negative", codes.InvalidArgument, "message_retention_duration", createTopic(&pubsubpb.Topic{Name: "projects/p/topics/abc", MessageRetentionDuration: durationpb.New(-time.Hour)})},
	{"topic retention that is no duration", codes.InvalidArgument, "message_retention_duration", createTopic(&pubsubpb.Topic{Name: "projects/p/topics/abc", MessageRetentionDuration: &durationpb.Duration{Seconds: 3600, Nanos: -1}})},
	{"topic with too many labels", codes.InvalidArgument, "labels", createTopic(&pubsubpb.Topic{Name: "projects/p/topics/abc", Labels: labels(65)})},
	{"topic in a project that is none", codes.InvalidArgument, "name", createTopic(&pubsubpb.Topic{Name: "projects/a b/topics/abc"})},
	{"topic with a bad label", codes.InvalidArgument, "labels", createTopic(&pubsubpb.Topic{Name: "projects/p/topics/abc", Labels: map[string]string{"A": "b"}})},
	{"topic update without a mask", codes.InvalidArgument, "update_mask", func(w *world, ctx context.Context) error {
		_, err := w.TopicAdminClient.UpdateTopic(ctx, &pubsubpb.UpdateTopicRequest{Topic: &pubsubpb.Topic{Name: w.topic("t")}})
		return err
	}},
	{"topic update of the name", codes.InvalidArgument, "update_mask", func(w *world, ctx context.Context) error {
		_, err := w.TopicAdminClient.UpdateTopic(ctx, &pubsubpb.UpdateTopicRequest{Topic: &pubsubpb.Topic{Name: w.topic("t")}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"name"}}})
		return err
	}},
	{"topic update of a field that is none", codes.InvalidArgument, "update_mask", func(w *world, ctx context.Context) error {
		_, err := w.TopicAdminClient.UpdateTopic(ctx, &pubsubpb.UpdateTopicRequest{
			Topic:      &pubsubpb.Topic{Name: w.topic("t"), Labels: map[string]string{"half": "written"}},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"labels", "labels.a.b", "nonsense"}},
		})
		return err
	}},
	{"topic update to a bad retention", codes.InvalidArgument, "message_retention_duration", func(w *world, ctx context.Context) error {
		_, err := w.TopicAdminClient.UpdateTopic(ctx, &pubsubpb.UpdateTopicRequest{
			Topic:      &pubsubpb.Topic{Name: w.topic("t"), Labels: map[string]string{"half": "written"}, MessageRetentionDuration: durationpb.New(-time.Second)},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"labels", "message_retention_duration"}},
		})
		return err
	}},
	{"deletion of a topic that is not there", codes.NotFound, "nowhere", func(w *world, ctx context.Context) error {
		return w.TopicAdminClient.DeleteTopic(ctx, &pubsubpb.DeleteTopicRequest{Topic: "projects/p/topics/nowhere"})
	}},
	{"detachment of what is not there", codes.NotFound, "nowhere", func(w *world, ctx context.Context) error {
		_, err := w.TopicAdminClient.DetachSubscription(ctx, &pubsubpb.DetachSubscriptionRequest{Subscription: "projects/p/subscriptions/nowhere"})
		return err
	}},

	{"subscription without a topic", codes.InvalidArgument, "topic", createSub(func(_ *world, s *pubsubpb.Subscription) { s.Topic = "" })},
	{"subscription of an unknown topic", codes.NotFound, "nowhere", createSub(func(_ *world, s *pubsubpb.Subscription) { s.Topic = "projects/p/topics/nowhere" })},
	{"subscription with a bad name", codes.InvalidArgument, "name", createSub(func(_ *world, s *pubsubpb.Subscription) { s.Name = "sub" })},
	{"deadline too short", codes.InvalidArgument, "ack_deadline_seconds", createSub(func(_ *world, s *pubsubpb.Subscription) { s.AckDeadlineSeconds = 9 })},
	{"deadline too long", codes.InvalidArgument, "ack_deadline_seconds", createSub(func(_ *world, s *pubsubpb.Subscription) { s.AckDeadlineSeconds = 601 })},
	{"deadline negative", codes.InvalidArgument, "ack_deadline_seconds", createSub(func(_ *world, s *pubsubpb.Subscription) { s.AckDeadlineSeconds = -1 })},
	{"retention too short", codes.InvalidArgument, "message_retention_duration", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.MessageRetentionDuration = durationpb.New(599 * time.Second)
	})},
	{"retention too long", codes.InvalidArgument, "message_retention_duration", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.MessageRetentionDuration = durationpb.New(32 * 24 * time.Hour)
	})},
	{"retention negative", codes.InvalidArgument, "message_retention_duration", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.MessageRetentionDuration = durationpb.New(-time.Hour)
	})},
	{"expiration negative", codes.InvalidArgument, "expiration_policy.ttl", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.ExpirationPolicy = &pubsubpb.ExpirationPolicy{Ttl: durationpb.New(-48 * time.Hour)}
	})},
	{"expiration before retention ends", codes.InvalidArgument, "expiration_policy.ttl", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.ExpirationPolicy = &pubsubpb.ExpirationPolicy{Ttl: durationpb.New(48 * time.Hour)}
	})},
	{"expiration too short", codes.InvalidArgument, "expiration_policy.ttl", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.ExpirationPolicy = &pubsubpb.ExpirationPolicy{Ttl: durationpb.New(time.Hour)}
	})},
	{"filter that is none", codes.InvalidArgument, "filter", createSub(func(_ *world, s *pubsubpb.Subscription) { s.Filter = "attributes.a = b" })},
	{"filter without an end", codes.InvalidArgument, "filter", createSub(func(_ *world, s *pubsubpb.Subscription) { s.Filter = strings.Repeat("(", 256) })},
	{"filter too long", codes.InvalidArgument, "filter", createSub(func(_ *world, s *pubsubpb.Subscription) { s.Filter = "attributes:" + strings.Repeat("a", 250) })},
	{"push endpoint that is no URL", codes.InvalidArgument, "push_config.push_endpoint", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.PushConfig = &pubsubpb.PushConfig{PushEndpoint: "not a url"}
	})},
	{"push endpoint of another scheme", codes.InvalidArgument, "push_config.push_endpoint", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.PushConfig = &pubsubpb.PushConfig{PushEndpoint: "ftp://example.com/"}
	})},
	{"push endpoint without a host", codes.InvalidArgument, "push_config.push_endpoint", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.PushConfig = &pubsubpb.PushConfig{PushEndpoint: "https:///x"}
	})},
	{"push endpoint too long", codes.InvalidArgument, "push_config.push_endpoint", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.PushConfig = &pubsubpb.PushConfig{PushEndpoint: "https://example.com/" + strings.Repeat("a", 4096)}
	})},
	{"push endpoint changed to no URL", codes.InvalidArgument, "push_config.push_endpoint", func(w *world, ctx context.Context) error {
		return w.SubscriptionAdminClient.ModifyPushConfig(ctx, &pubsubpb.ModifyPushConfigRequest{Subscription: w.sub("s"), PushConfig: &pubsubpb.PushConfig{PushEndpoint: "http://a b/"}})
	}},
	{"push endpoint updated to no URL", codes.InvalidArgument, "push_config.push_endpoint", updateSub([]string{"push_config"}, func(_ *world, s *pubsubpb.Subscription) {
		s.PushConfig = &pubsubpb.PushConfig{PushEndpoint: "//example.com/"}
	})},
	{"push token without an endpoint", codes.InvalidArgument, "push_config.push_endpoint", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.PushConfig = &pubsubpb.PushConfig{AuthenticationMethod: &pubsubpb.PushConfig_OidcToken_{OidcToken: &pubsubpb.PushConfig_OidcToken{ServiceAccountEmail: "a@b.c"}}}
	})},
	{"push with exactly-once delivery", codes.InvalidArgument, "enable_exactly_once_delivery", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.PushConfig, s.EnableExactlyOnceDelivery = &pubsubpb.PushConfig{PushEndpoint: "https://example.com/"}, true
	})},
	{"back-off too long", codes.InvalidArgument, "retry_policy.maximum_backoff", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.RetryPolicy = &pubsubpb.RetryPolicy{MaximumBackoff: durationpb.New(601 * time.Second)}
	})},
	{"back-off negative", codes.InvalidArgument, "retry_policy.minimum_backoff", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.RetryPolicy = &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(-time.Second)}
	})},
	{"back-off upside down", codes.InvalidArgument, "retry_policy.minimum_backoff", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.RetryPolicy = &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(20 * time.Second), MaximumBackoff: durationpb.New(10 * time.Second)}
	})},
	{"too few attempts", codes.InvalidArgument, "dead_letter_policy.max_delivery_attempts", createSub(func(w *world, s *pubsubpb.Subscription) {
		s.DeadLetterPolicy = &pubsubpb.DeadLetterPolicy{DeadLetterTopic: w.topic("t"), MaxDeliveryAttempts: 4}
	})},
	{"too many attempts", codes.InvalidArgument, "dead_letter_policy.max_delivery_attempts", createSub(func(w *world, s *pubsubpb.Subscription) {
		s.DeadLetterPolicy = &pubsubpb.DeadLetterPolicy{DeadLetterTopic: w.topic("t"), MaxDeliveryAttempts: 101}
	})},
	{"dead-letter topic without a name", codes.InvalidArgument, "dead_letter_policy.dead_letter_topic", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.DeadLetterPolicy = &pubsubpb.DeadLetterPolicy{}
	})},
	{"dead-letter topic that is not there", codes.NotFound, "nowhere", createSub(func(_ *world, s *pubsubpb.Subscription) {
		s.DeadLetterPolicy = &pubsubpb.DeadLetterPolicy{DeadLetterTopic: "projects/p/topics/nowhere"}
	})},

	{"update without a mask", codes.InvalidArgument, "update_mask", updateSub(nil, nothing)},
	{"update of a field that is none", codes.InvalidArgument, "update_mask", updateSub([]string{"nonsense"}, nothing)},
	{"update of the filter", codes.InvalidArgument, "filter", updateSub([]string{"filter"}, nothing)},
	{"update of the topic", codes.InvalidArgument, "topic", updateSub([]string{"topic"}, nothing)},
	{"update of the ordering", codes.InvalidArgument, "enable_message_ordering", updateSub([]string{"enable_message_ordering"}, nothing)},
	{"update to a bad deadline", codes.InvalidArgument, "ack_deadline_seconds", updateSub([]string{"labels", "ack_deadline_seconds"}, func(_ *world, s *pubsubpb.Subscription) {
		s.Labels, s.AckDeadlineSeconds = map[string]string{"half": "written"}, 5
	})},
	{"update of what is not there", codes.NotFound, "nowhere", updateSub([]string{"labels"}, func(_ *world, s *pubsubpb.Subscription) { s.Name = "projects/p/subscriptions/nowhere" })},

	{"publish nothing", codes.InvalidArgument, "messages", publish()},
	{"publish an empty message", codes.InvalidArgument, "message", publish(&pubsubpb.PubsubMessage{Data: []byte("good")}, &pubsubpb.PubsubMessage{})},
	{"publish too many", codes.InvalidArgument, "messages", publish(many(1001)...)},
	{"publish too much", codes.InvalidArgument, "messages", publish(&pubsubpb.PubsubMessage{Data: make([]byte, 10_000_001)})},
	{"publish too many attributes", codes.InvalidArgument, "attributes", publish(&pubsubpb.PubsubMessage{Attributes: attributes(101)})},
	{"publish an empty attribute key", codes.InvalidArgument, "attributes", publish(&pubsubpb.PubsubMessage{Attributes: map[string]string{"": "x"}})},
	{"publish a reserved attribute key", codes.InvalidArgument, "attributes", publish(&pubsubpb.PubsubMessage{Attributes: map[string]string{"googx": "x"}})},
	{"publish a long attribute key", codes.InvalidArgument, "attributes", publish(&pubsubpb.PubsubMessage{Attributes: map[string]string{strings.Repeat("k", 257): "x"}})},
	{"publish a long attribute value", codes.InvalidArgument, "attributes", publish(&pubsubpb.PubsubMessage{Attributes: map[string]string{"k": strings.Repeat("x", 1025)}})},
	{"publish a long ordering key", codes.InvalidArgument, "ordering_key", publish(&pubsubpb.PubsubMessage{Data: []byte("x"), OrderingKey: strings.Repeat("k", 1025)})},
	{"publish two ordering keys", codes.InvalidArgument, "ordering_key", publish(&pubsubpb.PubsubMessage{Data: []byte("x"), OrderingKey: "a"}, &pubsubpb.PubsubMessage{Data: []byte("x"), OrderingKey: "b"})},
	{"publish to an unknown topic", codes.NotFound, "nowhere", func(w *world, ctx context.Context) error {
		_, err := w.TopicAdminClient.Publish(ctx, &pubsubpb.PublishRequest{Topic: "projects/p/topics/nowhere", Messages: many(1)})
		return err
	}},
	{"publish without a topic", codes.InvalidArgument, "topic", func(w *world, ctx context.Context) error {
		_, err := w.TopicAdminClient.Publish(ctx, &pubsubpb.PublishRequest{Messages: many(1)})
		return err
	}},

	{"pull nothing", codes.InvalidArgument, "max_messages", func(w *world, ctx context.Context) error {
		_, err := w.SubscriptionAdminClient.Pull(ctx, &pubsubpb.PullRequest{Subscription: w.sub("s")})
		return err
	}},
	{"pull from what is not there", codes.NotFound, "nowhere", func(w *world, ctx context.Context) error {
		_, err := w.SubscriptionAdminClient.Pull(ctx, &pubsubpb.PullRequest{Subscription: "projects/p/subscriptions/nowhere", MaxMessages: 1})
		return err
	}},
	{"acknowledge nothing", codes.InvalidArgument, "ack_ids", func(w *world, ctx context.Context) error {
		return w.SubscriptionAdminClient.Acknowledge(ctx, &pubsubpb.AcknowledgeRequest{Subscription: w.sub("s")})
	}},
	{"pull less than nothing", codes.InvalidArgument, "max_messages", func(w *world, ctx context.Context) error {
		_, err := w.SubscriptionAdminClient.Pull(ctx, &pubsubpb.PullRequest{Subscription: w.sub("s"), MaxMessages: -1})
		return err
	}},
	{"acknowledge what is no id", codes.InvalidArgument, "ack_ids", func(w *world, ctx context.Context) error {
		return w.SubscriptionAdminClient.Acknowledge(ctx, &pubsubpb.AcknowledgeRequest{Subscription: w.sub("s"), AckIds: []string{"nonsense"}})
	}},
	{"extend by too much", codes.InvalidArgument, "ack_deadline_seconds", func(w *world, ctx context.Context) error {
		return w.SubscriptionAdminClient.ModifyAckDeadline(ctx, &pubsubpb.ModifyAckDeadlineRequest{Subscription: w.sub("s"), AckIds: []string{"x"}, AckDeadlineSeconds: 601})
	}},
	{"extend by less than nothing", codes.InvalidArgument, "ack_deadline_seconds", func(w *world, ctx context.Context) error {
		return w.SubscriptionAdminClient.ModifyAckDeadline(ctx, &pubsubpb.ModifyAckDeadlineRequest{Subscription: w.sub("s"), AckIds: []string{"x"}, AckDeadlineSeconds: -1})
	}},
	{"stream without a deadline", codes.InvalidArgument, "stream_ack_deadline_seconds", func(w *world, ctx context.Context) error {
		return stream(w, ctx, &pubsubpb.StreamingPullRequest{Subscription: w.sub("s")})
	}},
	{"stream of what is not there", codes.NotFound, "nowhere", func(w *world, ctx context.Context) error {
		return stream(w, ctx, &pubsubpb.StreamingPullRequest{Subscription: "projects/p/subscriptions/nowhere", StreamAckDeadlineSeconds: 10})
	}},
	{"stream whose lists differ", codes.InvalidArgument, "modify_deadline_seconds", func(w *world, ctx context.Context) error {
		return stream(w, ctx, &pubsubpb.StreamingPullRequest{Subscription: w.sub("s"), StreamAckDeadlineSeconds: 10, ModifyDeadlineSeconds: []int32{1}})
	}},

	{"seek without a target", codes.InvalidArgument, "target", func(w *world, ctx context.Context) error {
		_, err := w.SubscriptionAdminClient.Seek(ctx, &pubsubpb.SeekRequest{Subscription: w.sub("s")})
		return err
	}},
	{"seek to a time that is none", codes.InvalidArgument, "time", func(w *world, ctx context.Context) error {
		_, err := w.SubscriptionAdminClient.Seek(ctx, &pubsubpb.SeekRequest{Subscription: w.sub("s"), Target: &pubsubpb.SeekRequest_Time{Time: &timestamppb.Timestamp{Nanos: -1}}})
		return err
	}},
	{"seek to a snapshot that is not there", codes.NotFound, "nowhere", func(w *world, ctx context.Context) error {
		_, err := w.SubscriptionAdminClient.Seek(ctx, &pubsubpb.SeekRequest{Subscription: w.sub("s"), Target: &pubsubpb.SeekRequest_Snapshot{Snapshot: "projects/p/snapshots/nowhere"}})
		return err
	}},
	{"snapshot of what is not there", codes.NotFound, "nowhere", func(w *world, ctx context.Context) error {
		_, err := w.SubscriptionAdminClient.CreateSnapshot(ctx, &pubsubpb.CreateSnapshotRequest{Name: w.snap("n"), Subscription: "projects/p/subscriptions/nowhere"})
		return err
	}},
	{"snapshot update of a field that is none", codes.InvalidArgument, "update_mask", func(w *world, ctx context.Context) error {
		_, err := w.SubscriptionAdminClient.UpdateSnapshot(ctx, &pubsubpb.UpdateSnapshotRequest{
			Snapshot: &pubsubpb.Snapshot{Name: w.snap("k"), Labels: map[string]string{"half": "written"}}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"labels", "nonsense"}},
		})
		return err
	}},
	{"snapshot with a bad name", codes.InvalidArgument, "name", func(w *world, ctx context.Context) error {
		_, err := w.SubscriptionAdminClient.CreateSnapshot(ctx, &pubsubpb.CreateSnapshotRequest{Name: "n", Subscription: w.sub("s")})
		return err
	}},
	{"list with a negative size", codes.InvalidArgument, "page_size", func(w *world, ctx context.Context) error {
		_, err := w.TopicAdminClient.ListTopics(ctx, &pubsubpb.ListTopicsRequest{Project: "projects/" + project, PageSize: -1}).Next()
		return err
	}},
	{"list of what is no project", codes.InvalidArgument, "project", func(w *world, ctx context.Context) error {
		_, err := w.SubscriptionAdminClient.ListSubscriptions(ctx, &pubsubpb.ListSubscriptionsRequest{Project: "p"}).Next()
		return err
	}},
	{"list with a token that is none", codes.InvalidArgument, "page_token", func(w *world, ctx context.Context) error {
		_, err := w.SubscriptionAdminClient.ListSnapshots(ctx, &pubsubpb.ListSnapshotsRequest{Project: "projects/" + project, PageToken: "%"}).Next()
		return err
	}},
}

// stream opens one and gives the error that ends it.
func stream(w *world, ctx context.Context, req *pubsubpb.StreamingPullRequest) error {
	s, err := w.SubscriptionAdminClient.StreamingPull(ctx)
	if err != nil {
		return err
	}
	if err := s.Send(req); err != nil {
		return err
	}
	_, err = s.Recv()
	return err
}

// Bad input gets production's code and a text that names the field, and nothing changes.
func TestRefusals(t *testing.T) {
	each(t, func(w *world) {
		w.createSub(&pubsubpb.Subscription{Labels: map[string]string{"as": "it-was"}})
		if _, err := w.SubscriptionAdminClient.CreateSnapshot(w.Context(), &pubsubpb.CreateSnapshotRequest{Name: w.snap("k"), Subscription: w.sub("s")}); err != nil {
			w.Fatal(err)
		}
		before := w.state()
		for _, tt := range refusals {
			ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
			err := tt.do(w, ctx)
			cancel()
			if err == nil {
				w.Errorf("%s: was not refused", tt.name)
				continue
			}
			w.refused(fmt.Errorf("%s: %w", tt.name, err), tt.code, tt.field)
			after := w.state()
			if diff := cmp.Diff(before, after, protocmp.Transform()); diff != "" {
				w.Errorf("%s: something changed (-before +after):\n%s", tt.name, diff)
			}
			before = after
		}
	})
}

// state is all that exists in the project.
func (w *world) state() []any {
	w.Helper()
	var state []any
	ctx := w.Context()
	all(w, w.TopicAdminClient.ListTopics(ctx, &pubsubpb.ListTopicsRequest{Project: "projects/" + project}).Next, func(t *pubsubpb.Topic) string { state = append(state, t); return "" })
	all(w, w.SubscriptionAdminClient.ListSubscriptions(ctx, &pubsubpb.ListSubscriptionsRequest{Project: "projects/" + project}).Next, func(s *pubsubpb.Subscription) string { state = append(state, s); return "" })
	all(w, w.SubscriptionAdminClient.ListSnapshots(ctx, &pubsubpb.ListSnapshotsRequest{Project: "projects/" + project}).Next, func(s *pubsubpb.Snapshot) string { state = append(state, s); return "" })
	return append(state, bodies(w.pull(w.sub("s"), 0)))
}
