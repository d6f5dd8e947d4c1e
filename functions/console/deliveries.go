package console

import (
	"net/url"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

// deliveriesPage is how many deliveries a page lists.
const deliveriesPage = 50

// deliveriesList is the page of deliveries.
type deliveriesList struct {
	Filter   deliveriesForm
	Rows     []*calloutv1.Delivery
	Targets  []*actionv2.Target
	Problems problems
	// Live says that this is the newest page, which looks again by itself; Older is where the next one is, "" on the last.
	Live  bool
	Older string
	// Dead says that all of these are dead, and may be put back together.
	Dead bool
}

// deliveriesForm is the filter, as text.
type deliveriesForm struct {
	State, Target, Type, Text, Since, Held string
}

func readFilter(v *visit) deliveriesForm {
	return deliveriesForm{State: v.form("state"), Target: v.form("target"), Type: v.form("type"), Text: v.form("text"),
		Since: v.form("since"), Held: v.form("held")}
}

// message makes the API's filter of it.
func (f deliveriesForm) message(now time.Time) *calloutv1.DeliveryFilter {
	m := &calloutv1.DeliveryFilter{Target: f.Target, EventType: f.Type, Text: f.Text}
	if f.State != "" {
		m.States = []string{f.State}
	}
	if d, err := time.ParseDuration(f.Since); err == nil && d > 0 {
		m.CreatedFrom = timestamppb.New(now.Add(-d).Truncate(time.Minute)) // a page token holds for the same time alone
	}
	if f.Held == "on" {
		m.Held = new(true)
	}
	return m
}

// query is the filter in a URL.
func (f deliveriesForm) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"state": f.State, "target": f.Target, "type": f.Type, "text": f.Text, "since": f.Since,
		"held": f.Held} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// listDeliveries shows a page of deliveries. Its moment travels with the token, so that the next page is of the same filter.
func listDeliveries(v *visit) error {
	p := deliveriesList{Filter: readFilter(v)}
	now, token := time.Now(), v.form("page")
	if at, err := time.Parse(time.RFC3339, v.form("at")); err == nil {
		now = at
	}
	found, err := v.deliveries().SearchDeliveries(v.ctx(), &calloutv1.SearchDeliveriesRequest{
		Filter: p.Filter.message(now), PageSize: deliveriesPage, PageToken: token,
	})
	var ok bool
	if err != nil {
		if p.Problems, ok = refused(err, "states", "target", "eventType", "text"); !ok {
			return err
		}
	}
	p.Rows, p.Live, p.Dead = found.GetDeliveries(), token == "" && err == nil, p.Filter.State == "dead" && len(found.GetDeliveries()) > 0
	if next := found.GetNextPageToken(); next != "" {
		q := p.Filter.query()
		q.Set("page", next)
		q.Set("at", now.UTC().Format(time.RFC3339))
		p.Older = root + "deliveries?" + q.Encode()
	}
	if !v.byScript() { // the filter stays as it is
		if p.Targets, err = allTargets(v); orGone(err) != nil {
			return err
		}
	}
	if p.Problems != nil {
		return v.again("deliveries", "Deliveries", p)
	}
	return v.page("deliveries", "Deliveries", p)
}

// redeliverAll puts back what is dead and fits the filter, up to 1,000 at once.
func redeliverAll(v *visit) error {
	f := readFilter(v)
	f.State = "dead"
	moved, err := v.deliveries().RedeliverDeliveries(v.ctx(), &calloutv1.RedeliverDeliveriesRequest{Filter: f.message(time.Now())})
	if err != nil {
		return err
	}
	said := plural(int(moved.Moved), "delivery") + " put back."
	if moved.NextPageToken != "" {
		said += " There are more: do it again for the next ones."
	}
	return v.done(root+"deliveries?"+f.query().Encode(), note{Text: said})
}
