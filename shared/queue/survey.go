package queue

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/shared/errs"
)

// maxSubscriptions bounds how many of a topic's are looked at.
const maxSubscriptions = 100

// Subscription is one of a topic's, as far as it matters how it is set.
type Subscription struct {
	Name string
	// Endpoint is where it pushes; "" if it does not.
	Endpoint string
	// Account and Audience are those of its tokens; "" if it pushes without.
	Account, Audience string
	AckDeadline       time.Duration
	// DeadLetters is the topic that it gives up messages to; "" if it never does.
	DeadLetters string
	// Expires: it is removed when nobody has used it for a while.
	Expires bool
	// Detached: its topic has let go of it.
	Detached bool
}

// Subscriptions reads those of a topic. The error is NotFound where there is no such topic.
func (q *Queue) Subscriptions(ctx context.Context, topic Topic) ([]Subscription, error) {
	var found []Subscription
	name := "projects/" + q.project + "/topics/" + string(topic)
	if _, err := q.client.GetTopic(ctx, &pubsubpb.GetTopicRequest{Topic: name}); err != nil {
		return nil, surveyError(topic, err)
	}
	for name, err := range q.client.ListTopicSubscriptions(ctx, &pubsubpb.ListTopicSubscriptionsRequest{Topic: name}).All() {
		if err != nil {
			return nil, surveyError(topic, err)
		}
		if len(found) == maxSubscriptions {
			break
		}
		s, err := q.subscriptions.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: name})
		if err != nil {
			return nil, surveyError(topic, err)
		}
		push := s.GetPushConfig()
		found = append(found, Subscription{
			Name: s.GetName(), Endpoint: push.GetPushEndpoint(), Account: push.GetOidcToken().GetServiceAccountEmail(), Audience: push.GetOidcToken().GetAudience(),
			AckDeadline: time.Duration(s.GetAckDeadlineSeconds()) * time.Second, DeadLetters: s.GetDeadLetterPolicy().GetDeadLetterTopic(),
			Expires: s.GetExpirationPolicy().GetTtl() != nil, Detached: s.GetDetached(),
		})
	}
	return found, nil
}

func surveyError(topic Topic, err error) error {
	kind := errs.Internal
	switch status.Code(err) {
	case codes.NotFound:
		kind = errs.NotFound
	case codes.PermissionDenied:
		kind = errs.PermissionDenied
	case codes.Unavailable, codes.DeadlineExceeded:
		kind = errs.Unavailable
	}
	return errs.Newf(kind, "the topic %s could not be read", topic).Because(fmt.Errorf("survey %s: %w", topic, err))
}
