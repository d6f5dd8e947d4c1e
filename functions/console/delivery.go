package console

import (
	"net/url"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// deliveryPage is one delivery with its attempts.
type deliveryPage struct {
	*calloutv1.Delivery
	// Waits for the next attempt, so that the page looks again by itself.
	Unfinished bool
	Explain    string
}

// Last says whether an attempt is the newest one, whose answer is shown at once.
func (p deliveryPage) Last(i int) bool { return i == len(p.Attempts)-1 }

func deliveryPath(id string) string { return root + "deliveries/" + url.PathEscape(id) }

func showDelivery(v *visit) error {
	d, err := v.deliveries().GetDelivery(v.ctx(), &calloutv1.GetDeliveryRequest{Id: v.id()})
	if err != nil {
		return err
	}
	p := deliveryPage{Delivery: d, Unfinished: d.State == "pending" || d.State == "retrying"}
	if d.EventId != "" {
		p.Explain = explainPath(d.EventId, d.Source)
	}
	return v.page("delivery", d.EventType, p)
}

func redeliver(v *visit) error {
	d, err := v.deliveries().RedeliverDelivery(v.ctx(), &calloutv1.RedeliverDeliveryRequest{Id: v.id()})
	if err != nil {
		return err
	}
	said := "It is tried again now."
	if d.Held != "" {
		said = "It is back, and waits because of its target: " + d.Held + "."
	}
	return v.done(deliveryPath(d.Id), note{Text: said})
}
