package console

import (
	"net/http"
	"net/url"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

const (
	// hour is what the overview looks back at, and sample how many deliveries of it it reads at the most: the newest.
	hour   = time.Hour
	sample = 250
	// recent is how many deliveries in trouble it shows.
	recent = 6
)

// front is the overview for who has signed in, and the door for others.
func (c *Console) front(w http.ResponseWriter, r *http.Request) {
	if _, err := r.Cookie(sessionCookie); err == nil && r.URL.Query().Get("signed") == "" && r.URL.Query().Get("to") == "" {
		c.signedIn(overview)(w, r)
		return
	}
	query := r.URL.Query()
	door := door{SignIn: c.origin(r) + root + "signin?" + url.Values{"to": {local(query.Get("to"))}}.Encode(), Closed: c.Party == nil}
	switch query.Get("signed") {
	case "out":
		door.Said = "You are signed out."
	case "over":
		door.Said = "Your session is over, and nothing was changed. Sign in, then try again."
	case "failed":
		door.Said = "The sign-in did not succeed. Begin again."
	}
	if err := c.render(w, http.StatusOK, "door", frame{Title: "Sign in", Data: door}); err != nil {
		c.fail(w, r, "", err)
	}
}

// door is the page before the sign-in.
type door struct {
	SignIn, Said string
	// Closed: the installation has no client for the console.
	Closed bool
}

// overviewPage is the last hour at a glance.
type overviewPage struct {
	// Size is how many deliveries it was made from; More says that there were more, of which these are the newest.
	Size      int
	More      bool
	Since     *timestamppb.Timestamp
	Delivered int
	Waiting   int
	Dead      int
	// Share is the failed part of all attempts seen, in percent; it and the latencies are "–" without attempts.
	Share, Median, Slow string
	Charts              []chart
	Trouble             []*calloutv1.Delivery
	Held                []heldTarget
}

// heldTarget is a target that holds deliveries back.
type heldTarget struct {
	ID, Name, Why string
	Count         int
}

func overview(v *visit) error {
	now := time.Now()
	found, err := v.deliveries().SearchDeliveries(v.ctx(), &calloutv1.SearchDeliveriesRequest{
		Filter: &calloutv1.DeliveryFilter{CreatedFrom: timestamppb.New(now.Add(-hour))}, PageSize: sample,
	})
	if err != nil {
		return err
	}
	return v.page("overview", "Overview", summarize(found, now))
}

// summarize makes the page of what was found.
func summarize(found *calloutv1.SearchDeliveriesResponse, now time.Time) overviewPage {
	p := overviewPage{Size: len(found.Deliveries), More: found.NextPageToken != ""}
	since := now.Add(-hour)
	if p.More && p.Size > 0 { // what is older is not known
		since = found.Deliveries[p.Size-1].Created.AsTime()
	}
	p.Since = timestamppb.New(since)
	held := map[string]int{}
	s := newSeries(since, now)
	for _, d := range found.Deliveries {
		switch d.State {
		case "delivered":
			p.Delivered++
		case "dead":
			p.Dead++
		case "pending", "retrying":
			p.Waiting++
		}
		if (d.State == "dead" || d.State == "retrying") && len(p.Trouble) < recent {
			p.Trouble = append(p.Trouble, d)
		}
		if d.Held != "" {
			if i, ok := held[d.TargetId]; ok {
				p.Held[i].Count++
			} else {
				held[d.TargetId] = len(p.Held)
				p.Held = append(p.Held, heldTarget{ID: d.TargetId, Name: d.TargetName, Why: d.Held, Count: 1})
			}
		}
		s.add(d)
	}
	p.Share, p.Median, p.Slow = s.figures()
	p.Charts = s.charts()
	return p
}
