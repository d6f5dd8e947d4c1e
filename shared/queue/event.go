package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// attributeSource carries an event's source beside its JSON: the reference's shape has no such field.
const attributeSource = "source"

// ContentTypeCloudEvent is the content type of one structured CloudEvent, ContentTypeBatch that of several.
const (
	ContentTypeCloudEvent = "application/cloudevents+json"
	ContentTypeBatch      = "application/cloudevents-batch+json"
	contentTypeJSON       = "application/json"
)

// EncodeEvent makes the message of an event for the events topic.
func EncodeEvent(o action.Occurrence) (Message, error) {
	if o.Hook != "" {
		return encodeHook(o), nil
	}
	data, err := o.Message()
	if err != nil {
		return Message{}, fmt.Errorf("encode event: %w", err)
	}
	m := Message{Data: data}
	if o.Source != "" {
		m.Attributes = map[string]string{attributeSource: o.Source}
	}
	return m, nil
}

// PublishEvents puts events on the events topic and waits until Pub/Sub has accepted all of them; errors are those of Publish.
func (q *Queue) PublishEvents(ctx context.Context, events ...action.Occurrence) error {
	messages := make([]Message, len(events))
	for i, event := range events {
		var err error
		if messages[i], err = EncodeEvent(event); err != nil {
			return err
		}
	}
	return q.Publish(ctx, Events, messages...)
}

// DecodeEvent reads a message of the events topic: EncodeEvent's, the same JSON from anybody else, or a CloudEvent in the Pub/Sub
// binding, structured or binary. What the sender left out is filled: the id is the message's, the instance "default", the time that of
// the publish. The error is InvalidArgument or TooLarge and says what is wrong.
func DecodeEvent(m Message) (action.Occurrence, error) {
	o, err := decodeEvent(m)
	if err != nil {
		return action.Occurrence{}, err
	}
	if o.ID == "" {
		o.ID = action.EventID(m.ID)
	}
	if o.Instance == "" {
		o.Instance = action.DefaultInstance
	}
	if !o.Instance.Valid() {
		return action.Occurrence{}, errs.Newf(errs.InvalidArgument, "instanceID must be 1 to 200 letters, digits, _ and -")
	}
	accepted := m.Published
	if accepted.IsZero() {
		accepted = time.Now()
	}
	o = o.Complete(accepted)
	return o, o.Validate()
}

func decodeEvent(m Message) (action.Occurrence, error) {
	attributes, contentType := map[string]string{}, ""
	for name, value := range m.Attributes {
		if attribute, ok := strings.CutPrefix(name, "ce-"); ok {
			attributes[attribute] = value
		} else if strings.EqualFold(name, "content-type") { // the binding writes it small, the SDK for Go does not
			contentType = value
		}
	}
	switch {
	case m.Attributes[attributeHook] != "":
		return decodeHook(m)
	case attributes[specVersion] != "":
		return ParseBinary(attributes, contentType, m.Data)
	case isCloudEvent(contentType):
		return ParseCloudEvent(m.Data)
	default:
		o, err := action.ParseEvent(m.Data)
		o.Source = m.Attributes[attributeSource]
		return o, err
	}
}

func isCloudEvent(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == ContentTypeCloudEvent
}

const specVersion = "specversion"

// ParseBinary reads a CloudEvent in binary mode: its attributes by their names, "specversion" among them, the content type of its data,
// "" where there is none, and the data.
func ParseBinary(attributes map[string]string, contentType string, data []byte) (action.Occurrence, error) {
	if err := checkVersion(attributes[specVersion]); err != nil {
		return action.Occurrence{}, err
	}
	e := cloudevents.NewEvent(cloudevents.VersionV1)
	for name, value := range attributes {
		if name == specVersion {
			continue
		}
		if err := setAttribute(&e, name, value); err != nil {
			return action.Occurrence{}, errs.Newf(errs.InvalidArgument, "attribute %s: %v", name, err)
		}
	}
	if contentType != "" {
		e.SetDataContentType(contentType)
	}
	e.DataEncoded = data
	return FromCloudEvent(e)
}

func checkVersion(version string) error {
	if version != cloudevents.VersionV1 {
		return errs.Newf(errs.InvalidArgument, "specversion must be %s, not %q", cloudevents.VersionV1, version)
	}
	return nil
}

func setAttribute(e *cloudevents.Event, name, value string) error {
	switch name {
	case "id":
		return e.Context.SetID(value)
	case "source":
		return e.Context.SetSource(value)
	case "type":
		return e.Context.SetType(value)
	case "subject":
		return e.Context.SetSubject(value)
	case "dataschema":
		return e.Context.SetDataSchema(value)
	case "time":
		t, err := types.ParseTime(value)
		if err != nil {
			return err
		}
		return e.Context.SetTime(t)
	default:
		return e.Context.SetExtension(name, value)
	}
}

// ParseCloudEvent reads one structured CloudEvent.
func ParseCloudEvent(data []byte) (action.Occurrence, error) {
	var e cloudevents.Event
	if !json.Valid(data) {
		return action.Occurrence{}, errs.Newf(errs.InvalidArgument, "this is not JSON")
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return action.Occurrence{}, errs.Newf(errs.InvalidArgument, "this is no CloudEvent: %v", err)
	}
	return FromCloudEvent(e)
}

// FromCloudEvent maps a CloudEvent (callout.md section 5). Its data must be JSON.
func FromCloudEvent(e cloudevents.Event) (action.Occurrence, error) {
	if err := checkVersion(e.SpecVersion()); err != nil {
		return action.Occurrence{}, err
	}
	if err := e.Validate(); err != nil {
		return action.Occurrence{}, errs.Newf(errs.InvalidArgument, "CloudEvent: %s", strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; "))
	}
	if e.DataBase64 {
		return action.Occurrence{}, errs.Newf(errs.InvalidArgument, "data_base64 is not taken: data must be JSON")
	}
	if !isJSON(e.DataContentType()) {
		return action.Occurrence{}, errs.Newf(errs.InvalidArgument, "datacontenttype must be JSON, not %q", e.DataContentType())
	}
	o := action.Occurrence{
		ID: action.EventID(e.ID()), Source: e.Source(), Type: e.Type(), AggregateID: e.Subject(), Payload: e.Data(),
		CreatedAt: e.Time().UTC(),
	}
	if e.Time().IsZero() {
		o.CreatedAt = time.Time{}
	}
	texts := map[string]*string{
		"aggregatetype": &o.AggregateType, "resourceowner": &o.ResourceOwner, "userid": &o.UserID,
		"aggregateversion": &o.Version, "instanceid": (*string)(&o.Instance),
	}
	for name, to := range texts {
		if err := extension(e, name, to); err != nil {
			return action.Occurrence{}, err
		}
	}
	var sequence string
	err := extension(e, "sequence", &sequence)
	if err == nil {
		o.Sequence, err = action.ParseSequence(sequence)
	}
	return o, err
}

func extension(e cloudevents.Event, name string, to *string) error {
	v, ok := e.Extensions()[name]
	if !ok {
		return nil
	}
	text, err := types.Format(v)
	if err != nil {
		return errs.Newf(errs.InvalidArgument, "extension %s: %v", name, err)
	}
	*to = text
	return nil
}

// isJSON takes application/json, text/json and anything +json; no content type means JSON.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == contentTypeJSON || media == "text/json" || strings.HasSuffix(media, "+json"))
}
