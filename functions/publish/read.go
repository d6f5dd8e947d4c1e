package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"

	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

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
	var raw []json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, errs.Newf(errs.InvalidArgument, "a batch is a JSON array of CloudEvents")
	}
	if len(raw) == 0 || len(raw) > action.MaxEvents {
		return nil, errs.Newf(errs.InvalidArgument, "events: there must be 1 to %d", action.MaxEvents)
	}
	events := make([]action.Occurrence, len(raw))
	for i, data := range raw {
		var err error
		if events[i], err = queue.ParseCloudEvent(data); err != nil {
			return nil, action.AtIndex(i, err)
		}
	}
	return events, nil
}

func readBinary(h http.Header, body []byte) (action.Occurrence, error) {
	message := cehttp.NewMessage(h, io.NopCloser(bytes.NewReader(body)))
	e, err := binding.ToEvent(context.Background(), message)
	if err != nil {
		return action.Occurrence{}, errs.Newf(errs.InvalidArgument, "this is no CloudEvent: %v", err)
	}
	return queue.FromCloudEvent(*e)
}
