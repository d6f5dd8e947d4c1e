package publish

import (
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/queue"
)

// Read reads the events of a request: the reference's JSON, or CloudEvents in structured, batch or binary mode (callout.md section 5).
func Read(h http.Header, body []byte) ([]action.Occurrence, error) {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil && h.Get("Content-Type") != "" {
		return nil, errs.Newf(errs.InvalidArgument, "Content-Type is malformed")
	}
	switch {
	case media == queue.ContentTypeBatch:
		return readBatch(body)
	case media == queue.ContentTypeCloudEvent:
		return one(queue.ParseCloudEvent(body))
	case h.Get("Ce-Specversion") != "":
		return one(readBinary(h, body))
	case media == "application/json":
		return action.ParseEvents(body)
	default:
		return nil, errs.Newf(errs.InvalidArgument,
			"Content-Type must be application/json, application/cloudevents+json or application/cloudevents-batch+json, or the request a CloudEvent in binary mode")
	}
}

func one(event action.Occurrence, err error) ([]action.Occurrence, error) {
	if err != nil {
		return nil, action.AtIndex(0, err)
	}
	return []action.Occurrence{event}, nil
}

func readBatch(body []byte) ([]action.Occurrence, error) {
	return action.EachEvent(body, queue.ParseCloudEvent)
}

// readBinary takes the attributes from the headers, whose values are percent-encoded where the sender knows the HTTP binding; the few
// that do not, and send a lone "%", are taken at their word.
func readBinary(h http.Header, body []byte) (action.Occurrence, error) {
	attributes := map[string]string{}
	for name, values := range h {
		attribute, ok := strings.CutPrefix(strings.ToLower(name), "ce-")
		if !ok {
			continue
		}
		if len(values) != 1 {
			return action.Occurrence{}, errs.Newf(errs.InvalidArgument, "header %s is given more than once", name)
		}
		value, err := url.PathUnescape(values[0])
		if err != nil {
			value = values[0]
		}
		attributes[attribute] = value
	}
	return queue.ParseBinary(attributes, h.Get("Content-Type"), body)
}
