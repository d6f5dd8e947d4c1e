// Package queue speaks Pub/Sub: it publishes messages and reads what a push brings.
package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"
	apiv1 "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/telemetry"
)

// Topic names a topic of Callout's.
type Topic string

// The topics (callout.md section 5).
const (
	Events         Topic = "events"
	Deliveries     Topic = "deliveries"
	DeliveriesSlow Topic = "deliveries-slow"
	Ticks          Topic = "ticks"
	DeadLetters    Topic = "dead-letters"
)

// Topics lists all of them.
func Topics() []Topic { return []Topic{Events, Deliveries, DeliveriesSlow, Ticks, DeadLetters} }

const (
	// publishTime bounds one request with all its retries.
	publishTime = 5 * time.Second
	// maxMessages and maxBytes are how much one request takes: Pub/Sub's limits are 1,000 messages and 10 MB.
	maxMessages = 1000
	maxBytes    = 9 << 20
	// overhead is more than the encoding of a message needs besides its data and attributes.
	overhead = 64
)

// Message is what is published, and what a push brings.
type Message struct {
	// ID and Published are set by Pub/Sub.
	ID         string
	Published  time.Time
	Data       []byte
	Attributes map[string]string
	// Subscription is the one that pushed the message.
	Subscription string
}

// Queue publishes to the topics of one project. It asks the service directly: the client's publisher waits for more messages to come, and
// whoever publishes here waits for the answer, and has all of its messages together.
type Queue struct {
	client        *apiv1.TopicAdminClient
	subscriptions *apiv1.SubscriptionAdminClient
	project       string

	mu    sync.Mutex
	woken time.Time
}

// New makes a queue.
func New(client *pubsub.Client) *Queue {
	return &Queue{client: client.TopicAdminClient, subscriptions: client.SubscriptionAdminClient, project: client.Project()}
}

// Publish puts messages on a topic and waits until Pub/Sub has accepted all of them. Unavailable: some or none were accepted, and the
// same call may be made again.
func (q *Queue) Publish(ctx context.Context, topic Topic, messages ...Message) error {
	for len(messages) > 0 {
		n := fit(messages)
		if err := q.publish(ctx, topic, messages[:n]); err != nil {
			return mapError(topic, err)
		}
		messages = messages[n:]
	}
	return nil
}

// publish makes one request. The messages carry the trace that they are a part of.
func (q *Queue) publish(ctx context.Context, topic Topic, messages []Message) (err error) {
	ctx, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	ctx, span := telemetry.Start(ctx, "publish "+string(topic), trace.SpanKindProducer, attribute.String("messaging.system", "gcp_pubsub"),
		attribute.String("messaging.destination.name", string(topic)), attribute.Int("messaging.batch.message_count", len(messages)))
	defer func() { telemetry.End(span, err) }()
	request := &pubsubpb.PublishRequest{Topic: "projects/" + q.project + "/topics/" + string(topic)}
	for _, m := range messages {
		request.Messages = append(request.Messages, &pubsubpb.PubsubMessage{Data: m.Data, Attributes: telemetry.WithTrace(ctx, m.Attributes)})
	}
	_, err = q.client.Publish(ctx, request)
	return err
}

// fit is how many of the messages go into one request: one at the least.
func fit(messages []Message) int {
	size := 0
	for i, m := range messages[:min(len(messages), maxMessages)] {
		size += overhead + len(m.Data)
		for k, v := range m.Attributes {
			size += overhead + len(k) + len(v)
		}
		if size > maxBytes && i > 0 {
			return i
		}
	}
	return min(len(messages), maxMessages)
}

func mapError(topic Topic, err error) error {
	kind := errs.Unavailable
	switch status.Code(err) {
	case codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.Unauthenticated:
		kind = errs.Internal
	case codes.Canceled:
		kind = errs.Canceled
	}
	return errs.New(kind, "", "the queue takes no messages; try again").Because(fmt.Errorf("publish to %s: %w", topic, err))
}

// push is the body of a wrapped push request.
type push struct {
	Message struct {
		Data        []byte            `json:"data"`
		Attributes  map[string]string `json:"attributes"`
		MessageID   string            `json:"messageId"`
		PublishTime time.Time         `json:"publishTime"`
	} `json:"message"`
	Subscription string `json:"subscription"`
}

// DecodePush reads the body of a push request. A body without a message id is none.
func DecodePush(body []byte) (Message, error) {
	var p push
	if err := json.Unmarshal(body, &p); err != nil {
		return Message{}, fmt.Errorf("push body: %w", err)
	}
	if p.Message.MessageID == "" {
		return Message{}, fmt.Errorf("push body: no message.messageId")
	}
	return Message{
		ID: p.Message.MessageID, Published: p.Message.PublishTime, Data: p.Message.Data, Attributes: p.Message.Attributes,
		Subscription: p.Subscription,
	}, nil
}
