package pubsub

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/textproto"
	"strconv"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"golang.org/x/net/http/httpguts"
)

// pushBody is the wrapped form of a push (https://cloud.google.com/pubsub/docs/push#receive_push). Production writes id and time twice.
type pushBody struct {
	Message         pushMessage `json:"message"`
	Subscription    string      `json:"subscription"`
	DeliveryAttempt int         `json:"deliveryAttempt,omitempty"`
}

type pushMessage struct {
	Data         []byte            `json:"data,omitempty"` // base64
	Attributes   map[string]string `json:"attributes,omitempty"`
	MessageID    string            `json:"messageId"`
	MessageIDOld string            `json:"message_id"`
	PublishTime  string            `json:"publishTime"`
	PublishOld   string            `json:"publish_time"`
	OrderingKey  string            `json:"orderingKey,omitempty"`
}

// publishTimeFormat is RFC 3339 with milliseconds.
const publishTimeFormat = "2006-01-02T15:04:05.000Z"

// wrap makes the body of a push.
func wrap(subscription string, m *message, attempt int) ([]byte, error) {
	at := m.time.UTC().Format(publishTimeFormat)
	return json.Marshal(pushBody{
		Message: pushMessage{
			Data: m.pb.Data, Attributes: m.pb.Attributes, OrderingKey: m.pb.OrderingKey,
			MessageID: m.pb.MessageId, MessageIDOld: m.pb.MessageId, PublishTime: at, PublishOld: at,
		},
		Subscription: subscription, DeliveryAttempt: attempt,
	})
}

// newPush makes the request of one push, wrapped or not, without authorisation.
func newPush(ctx context.Context, conf *pubsubpb.Subscription, m *message, attempt int) (*http.Request, error) {
	body, header := m.pb.Data, http.Header{}
	bare := conf.PushConfig.GetNoWrapper()
	if bare == nil {
		var err error
		if body, err = wrap(conf.Name, m, attempt); err != nil {
			return nil, err
		}
		header.Set("Content-Type", "application/json")
	} else if bare.WriteMetadata {
		writeMetadata(header, conf.Name, m, attempt)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, conf.PushConfig.PushEndpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	req.Header.Set("User-Agent", "CloudPubSub-Google")
	return req, nil
}

// Headers that an attribute of an unwrapped message must not set: they say where the request goes, how its body is cut, and who sends it.
var guarded = map[string]bool{
	"Authorization": true, "Connection": true, "Content-Length": true, "Host": true, "Keep-Alive": true, "Proxy-Connection": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "User-Agent": true,
}

// writeMetadata puts what the wrapper would hold into headers. Attributes that are no headers are left out.
func writeMetadata(h http.Header, subscription string, m *message, attempt int) {
	for k, v := range m.pb.Attributes {
		if name := textproto.CanonicalMIMEHeaderKey(k); httpguts.ValidHeaderFieldName(k) && httpguts.ValidHeaderFieldValue(v) && !guarded[name] {
			h.Set(name, v)
		}
	}
	h.Set("X-Goog-Pubsub-Subscription-Name", subscription)
	h.Set("X-Goog-Pubsub-Message-Id", m.pb.MessageId)
	h.Set("X-Goog-Pubsub-Publish-Time", m.time.UTC().Format(time.RFC3339Nano))
	if key := m.pb.OrderingKey; key != "" && httpguts.ValidHeaderFieldValue(key) {
		h.Set("X-Goog-Pubsub-Ordering-Key", key)
	}
	if attempt > 0 {
		h.Set("X-Goog-Pubsub-Delivery-Attempt", strconv.Itoa(attempt))
	}
}
