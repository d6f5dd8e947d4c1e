package pubsub

import (
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/emulator/pubsub/filter"
)

// Limits and defaults of https://cloud.google.com/pubsub/quotas#resource_limits and of the API's own comments.
const (
	maxRequestMessages  = 1000
	maxRequestSize      = 10_000_000
	maxAttributes       = 100
	maxAttributeKey     = 256
	maxAttributeValue   = 1024
	maxOrderingKey      = 1024
	maxLabels           = 64
	leastDeadline       = 10
	mostDeadline        = 600
	defaultDeadline     = 10
	leastRetention      = 10 * time.Minute
	mostRetention       = 31 * 24 * time.Hour
	defaultRetention    = 7 * 24 * time.Hour
	leastExpiration     = 24 * time.Hour
	defaultExpiration   = 31 * 24 * time.Hour
	mostBackoff         = 600 * time.Second
	leastAttempts       = 5
	mostAttempts        = 100
	defaultPageSize     = 100
	mostPageSize        = 1000
	maxEndpoint         = 2048
	pushFormatAttribute = "x-goog-version"
)

var (
	labelKey   = regexp.MustCompile(`^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$`)
	labelValue = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$`)
)

func checkLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return invalid("labels", "are %d; the most is %d", len(labels), maxLabels)
	}
	for k, v := range labels {
		if !labelKey.MatchString(k) {
			return invalid("labels", "have the key %q: keys have 1 to 63 lower-case letters, digits, - and _ and start with a letter", clip(k))
		}
		if !labelValue.MatchString(v) {
			return invalid("labels", "have under %q the value %q: values have up to 63 lower-case letters, digits, - and _", k, clip(v))
		}
	}
	return nil
}

// within checks that d, where it is set, is a duration from least to most.
func within(field string, d *durationpb.Duration, least, most time.Duration) error {
	if d == nil {
		return nil
	}
	if err := d.CheckValid(); err != nil {
		return invalid(field, "is no duration: %v", err)
	}
	if v := d.AsDuration(); v < least || v > most {
		return invalid(field, "is %v; it must be from %v to %v", v, least, most)
	}
	return nil
}

func checkTopic(t *pubsubpb.Topic) error {
	switch {
	case t.SchemaSettings != nil:
		return unimplemented("schema_settings")
	case t.KmsKeyName != "":
		return unimplemented("kms_key_name")
	case t.IngestionDataSourceSettings != nil:
		return unimplemented("ingestion_data_source_settings")
	case len(t.MessageTransforms) > 0:
		return unimplemented("message_transforms")
	case t.MessageStoragePolicy != nil && len(t.MessageStoragePolicy.AllowedPersistenceRegions) == 0:
		return invalid("message_storage_policy.allowed_persistence_regions", "is empty")
	}
	if err := checkLabels(t.Labels); err != nil {
		return err
	}
	return within("message_retention_duration", t.MessageRetentionDuration, leastRetention, mostRetention)
}

// checkSubscription checks all but the names of other resources.
func (s *Server) checkSubscription(sub *pubsubpb.Subscription) error {
	switch {
	case sub.BigqueryConfig != nil:
		return unimplemented("bigquery_config")
	case sub.CloudStorageConfig != nil:
		return unimplemented("cloud_storage_config")
	case sub.BigtableConfig != nil:
		return unimplemented("bigtable_config")
	case len(sub.MessageTransforms) > 0:
		return unimplemented("message_transforms")
	}
	if d := sub.AckDeadlineSeconds; d < leastDeadline || d > mostDeadline {
		return invalid("ack_deadline_seconds", "is %d; it must be from %d to %d", d, leastDeadline, mostDeadline)
	}
	if _, err := filter.Parse(sub.Filter); err != nil {
		return invalid("filter", "%v", err)
	}
	if err := checkLabels(sub.Labels); err != nil {
		return err
	}
	if err := within("message_retention_duration", sub.MessageRetentionDuration, leastRetention, mostRetention); err != nil {
		return err
	}
	if err := within("expiration_policy.ttl", sub.ExpirationPolicy.GetTtl(), leastExpiration, 1<<62); err != nil {
		return err
	}
	if ttl := sub.ExpirationPolicy.GetTtl(); ttl != nil && ttl.AsDuration() < sub.MessageRetentionDuration.AsDuration() {
		return invalid("expiration_policy.ttl", "is %v, less than message_retention_duration, which is %v", ttl.AsDuration(), sub.MessageRetentionDuration.AsDuration())
	}
	if err := checkRetry(sub.RetryPolicy); err != nil {
		return err
	}
	if p := sub.DeadLetterPolicy; p != nil {
		if n := p.MaxDeliveryAttempts; n < leastAttempts || n > mostAttempts {
			return invalid("dead_letter_policy.max_delivery_attempts", "is %d; it must be from %d to %d", n, leastAttempts, mostAttempts)
		}
	}
	return s.checkPush(sub)
}

func checkRetry(p *pubsubpb.RetryPolicy) error {
	if p == nil {
		return nil
	}
	if err := within("retry_policy.minimum_backoff", p.MinimumBackoff, 0, mostBackoff); err != nil {
		return err
	}
	if err := within("retry_policy.maximum_backoff", p.MaximumBackoff, 0, mostBackoff); err != nil {
		return err
	}
	if least, most := p.MinimumBackoff.AsDuration(), p.MaximumBackoff.AsDuration(); least > most {
		return invalid("retry_policy.minimum_backoff", "is %v, more than maximum_backoff, which is %v", least, most)
	}
	return nil
}

func (s *Server) checkPush(sub *pubsubpb.Subscription) error {
	p := sub.PushConfig
	if p.GetPushEndpoint() == "" {
		if p.GetOidcToken() != nil {
			return invalid("push_config.push_endpoint", "is required with push_config.oidc_token")
		}
		return nil
	}
	u, err := url.Parse(p.PushEndpoint)
	switch {
	case len(p.PushEndpoint) > maxEndpoint:
		return invalid("push_config.push_endpoint", "is %d bytes long; the most is %d", len(p.PushEndpoint), maxEndpoint)
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return invalid("push_config.push_endpoint", "is %q, not a URL with http or https and a host", clip(p.PushEndpoint))
	case sub.EnableExactlyOnceDelivery:
		return invalid("enable_exactly_once_delivery", "is not possible with push_config.push_endpoint")
	}
	for k, v := range p.Attributes {
		if k != pushFormatAttribute || v != "v1" && v != "v1beta2" {
			return invalid("push_config.attributes", "have %q = %q: the only one is %s, which is v1", clip(k), clip(v), pushFormatAttribute)
		}
	}
	if t := p.GetOidcToken(); t != nil {
		if t.ServiceAccountEmail == "" {
			return invalid("push_config.oidc_token.service_account_email", "is required")
		}
		if s.pusher.tokens == nil {
			return precondition("push_config.oidc_token: this server has no issuer of tokens")
		}
	}
	return nil
}

func checkMessages(messages []*pubsubpb.PubsubMessage) error {
	if len(messages) == 0 {
		return invalid("messages", "is empty; the least is 1")
	}
	if len(messages) > maxRequestMessages {
		return invalid("messages", "has %d; the most is %d", len(messages), maxRequestMessages)
	}
	size := 0
	for i, m := range messages {
		if err := checkMessage(i, m); err != nil {
			return err
		}
		if m.OrderingKey != messages[0].OrderingKey {
			return invalid("messages.ordering_key", "differs between the messages 0 and %d: one request has one key", i)
		}
		size += sizeOf(m) - 64
	}
	if size > maxRequestSize {
		return invalid("messages", "have %d bytes; the most is %d", size, maxRequestSize)
	}
	return nil
}

func checkMessage(i int, m *pubsubpb.PubsubMessage) error {
	switch {
	case m == nil || len(m.Data) == 0 && len(m.Attributes) == 0:
		return invalid("messages.data", "of message %d is empty, and it has no attributes: one of the two is required", i)
	case len(m.Attributes) > maxAttributes:
		return invalid("messages.attributes", "of message %d are %d; the most is %d", i, len(m.Attributes), maxAttributes)
	case len(m.OrderingKey) > maxOrderingKey:
		return invalid("messages.ordering_key", "of message %d is %d bytes long; the most is %d", i, len(m.OrderingKey), maxOrderingKey)
	}
	for k, v := range m.Attributes {
		switch {
		case k == "" || len(k) > maxAttributeKey || !utf8.ValidString(k):
			return invalid("messages.attributes", "of message %d have a key of %d bytes: a key has 1 to %d", i, len(k), maxAttributeKey)
		case strings.HasPrefix(k, "goog") && !strings.HasPrefix(k, "googclient_"):
			return invalid("messages.attributes", "of message %d have the key %q: keys that start with goog are reserved", i, clip(k))
		case len(v) > maxAttributeValue:
			return invalid("messages.attributes", "of message %d have under %q a value of %d bytes; the most is %d", i, clip(k), len(v), maxAttributeValue)
		}
	}
	return nil
}
