// Package queue speaks Pub/Sub: it publishes messages and reads what a push brings.
package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/shared/errs"
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
	// delay is how long the client may wait for more messages before it sends: long enough to batch under load, too short to notice.
	delay = 200 * time.Microsecond
	// publishTime bounds one publish with all its retries.
	publishTime = 5 * time.Second
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

// Queue publishes to the topics of one project.
type Queue struct {
	client     *pubsub.Client
	mu         sync.Mutex
	publishers map[Topic]*pubsub.Publisher
	woken      time.Time
}

// New makes a queue. Close it before its client.
func New(client *pubsub.Client) *Queue {
	return &Queue{client: client, publishers: map[Topic]*pubsub.Publisher{}}
}

// Publish puts messages on a topic and waits until Pub/Sub has accepted all of them. Unavailable: some or none were accepted, and the
// same call may be made again.
func (q *Queue) Publish(ctx context.Context, topic Topic, messages ...Message) error {
	publisher := q.publisher(topic)
	results := make([]*pubsub.PublishResult, len(messages))
	for i, m := range messages {
		results[i] = publisher.Publish(ctx, &pubsub.Message{Data: m.Data, Attributes: m.Attributes})
	}
	for _, result := range results {
		if _, err := result.Get(ctx); err != nil {
			return mapError(topic, err)
		}
	}
	return nil
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

func (q *Queue) publisher(topic Topic) *pubsub.Publisher {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.publishers[topic]
	if p == nil {
		p = q.client.Publisher(string(topic))
		p.PublishSettings.DelayThreshold = delay
		p.PublishSettings.Timeout = publishTime
		q.publishers[topic] = p
	}
	return p
}

// Close sends what is still buffered and stops.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.publishers {
		p.Stop()
	}
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
