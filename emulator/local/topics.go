package local

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/callout-dev/callout/functions/all"
	"github.com/callout-dev/callout/shared/queue"
)

const (
	// ackDeadline is that of every subscription of ours: longer than the longest attempt with all around it.
	ackDeadline = 600
	retention   = 7 * 24 * time.Hour
	minBackoff  = 500 * time.Millisecond
	maxBackoff  = time.Minute
	tickPeriod  = time.Minute
)

func topicName(topic string) string { return "projects/" + Project + "/topics/" + topic }

// makeTopics makes the topics and the push subscriptions of all event functions, or mends those that are there: base is where the
// functions are, and may have changed.
func (g *ground) makeTopics(ctx context.Context, base string) error {
	publisher := pubsubpb.NewPublisherClient(g.pubsubConn)
	for _, topic := range queue.Topics() {
		_, err := publisher.CreateTopic(ctx, &pubsubpb.Topic{Name: topicName(string(topic))})
		if err != nil && status.Code(err) != codes.AlreadyExists {
			return fmt.Errorf("topic %s: %w", topic, err)
		}
	}
	for _, f := range all.Functions() {
		for i, topic := range f.Topics {
			if err := g.subscribe(ctx, topic, strings.TrimSuffix(base, "/")+f.Paths[i]); err != nil {
				return fmt.Errorf("subscription of %s: %w", f.Name, err)
			}
		}
	}
	return nil
}

// subscribe pushes a topic to an endpoint. There is no dead-letter policy: an outage of ours gives up nothing.
func (g *ground) subscribe(ctx context.Context, topic, endpoint string) error {
	name := endpoint[strings.LastIndexByte(endpoint, '/')+1:]
	subscription := &pubsubpb.Subscription{
		Name:  "projects/" + Project + "/subscriptions/" + name,
		Topic: topicName(topic),
		PushConfig: &pubsubpb.PushConfig{
			PushEndpoint: endpoint,
			AuthenticationMethod: &pubsubpb.PushConfig_OidcToken_{
				OidcToken: &pubsubpb.PushConfig_OidcToken{ServiceAccountEmail: PushAccount, Audience: PushAudience},
			},
		},
		AckDeadlineSeconds:       ackDeadline,
		MessageRetentionDuration: durationpb.New(retention),
		ExpirationPolicy:         &pubsubpb.ExpirationPolicy{}, // never
		RetryPolicy:              &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(minBackoff), MaximumBackoff: durationpb.New(maxBackoff)},
	}
	subscriber := pubsubpb.NewSubscriberClient(g.pubsubConn)
	_, err := subscriber.CreateSubscription(ctx, subscription)
	if status.Code(err) != codes.AlreadyExists {
		return err
	}
	_, err = subscriber.UpdateSubscription(ctx, &pubsubpb.UpdateSubscriptionRequest{
		Subscription: subscription,
		UpdateMask:   &fieldmaskpb.FieldMask{Paths: []string{"push_config", "ack_deadline_seconds", "message_retention_duration", "expiration_policy", "retry_policy"}},
	})
	return err
}

// tick is the scheduler: it wakes the sweeper now and each minute.
func (g *ground) tick(ctx context.Context) {
	publisher := pubsubpb.NewPublisherClient(g.pubsubConn)
	ticker := time.NewTicker(tickPeriod)
	defer ticker.Stop()
	for {
		_, err := publisher.Publish(ctx, &pubsubpb.PublishRequest{
			Topic:    topicName(string(queue.Ticks)),
			Messages: []*pubsubpb.PubsubMessage{{Data: []byte("{}")}},
		})
		if err != nil && ctx.Err() == nil {
			g.config.Log.WarnContext(ctx, "tick not published", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
