package console

import (
	"net/url"

	"github.com/callout-dev/callout/shared/errs"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// explainPage says what became of an event, and why.
type explainPage struct {
	ID     string
	Events []*calloutv1.EventExplanation
	// Missing is why there is nothing to tell; Unfinished that there will be more.
	Missing    string
	Unfinished bool
}

func explainPath(id, source string) string {
	return root + "explain?" + url.Values{"id": {id}, "source": {source}}.Encode()
}

func explain(v *visit) error {
	p := explainPage{ID: v.form("id")}
	if p.ID == "" {
		return v.page("explain", "Explain an event", p)
	}
	request := &calloutv1.ExplainEventRequest{Id: p.ID}
	if query := v.r.URL.Query(); query.Has("source") {
		request.Source = new(query.Get("source"))
	}
	found, err := v.deliveries().ExplainEvent(v.ctx(), request)
	switch kind := kindOf(err); {
	case err == nil:
	case kind == errs.NotFound || kind == errs.InvalidArgument:
		p.Missing, p.Unfinished = textOf(err), kind == errs.NotFound // it may not be on record yet
	default:
		return err
	}
	p.Events = found.GetEvents()
	for _, e := range p.Events {
		for _, t := range e.Targets {
			p.Unfinished = p.Unfinished || t.State == "pending" || t.State == "retrying" || t.State == ""
		}
	}
	return v.page("explain", "Event "+p.ID, p)
}
