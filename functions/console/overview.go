package console

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

const (
	// hour is what the overview looks back at, and sample how many deliveries of it it reads at the most: the newest.
	hour   = time.Hour
	sample = 120
	// Where an hour has more, it is cut into windows, and of each the newest few are read.
	windows   = 12
	perWindow = 10
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
	// Estimated says that there were more deliveries than are read: then numbers are estimates, made from Read of them.
	Estimated bool
	Read      int
	Any       bool
	Tiles     []tile
	Charts    []chart
	Trouble   []*calloutv1.Delivery
	Held      []heldTarget
}

// tile is a number, what it is of, and what there is to say beside it. Link leads to what was counted.
type tile struct {
	Title, Value, Beside, Link string
	Alarm                      bool
}

// heldTarget is a target that holds deliveries back.
type heldTarget struct {
	ID, Name, Why string
	Count         int
}

func overview(v *visit) error {
	now := time.Now()
	var newest, dead, retrying *calloutv1.SearchDeliveriesResponse
	group, ctx := errgroup.WithContext(v.ctx())
	find := func(into **calloutv1.SearchDeliveriesResponse, size int32, states ...string) {
		group.Go(func() (err error) {
			*into, err = v.deliveries().SearchDeliveries(ctx, &calloutv1.SearchDeliveriesRequest{
				Filter: &calloutv1.DeliveryFilter{CreatedFrom: timestamppb.New(now.Add(-hour)), States: states}, PageSize: size,
			})
			return err
		})
	}
	find(&newest, sample)
	find(&dead, recent, "dead")
	find(&retrying, recent, "retrying")
	if err := group.Wait(); err != nil {
		return err
	}
	s := newSeries(now.Add(-hour), now, buckets)
	p := overviewPage{Read: len(newest.Deliveries), Any: len(newest.Deliveries) > 0, Held: holding(newest.Deliveries)}
	if p.Estimated = newest.NextPageToken != ""; p.Estimated {
		var err error
		if s, err = sampleWindows(v, now); err != nil {
			return err
		}
		p.Read = s.read()
	} else {
		for _, d := range newest.Deliveries {
			s.add(d)
		}
	}
	p.Trouble = append(dead.Deliveries, retrying.Deliveries...)
	slices.SortStableFunc(p.Trouble, func(a, b *calloutv1.Delivery) int { return b.Created.AsTime().Compare(a.Created.AsTime()) })
	p.Trouble = p.Trouble[:min(len(p.Trouble), recent)]
	p.Tiles, p.Charts = s.tiles(p.Estimated), s.charts()
	return v.page("overview", "Overview", p)
}

// sampleWindows reads the newest few of each part of the hour.
func sampleWindows(v *visit, now time.Time) (*series, error) {
	s := newSeries(now.Add(-hour), now, windows)
	group, ctx := errgroup.WithContext(v.ctx())
	group.SetLimit(together)
	for i := range s.counts {
		group.Go(func() error {
			from := s.from.Add(time.Duration(i) * s.bucket)
			to := from.Add(s.bucket)
			found, err := v.deliveries().SearchDeliveries(ctx, &calloutv1.SearchDeliveriesRequest{
				Filter: &calloutv1.DeliveryFilter{CreatedFrom: timestamppb.New(from), CreatedTo: timestamppb.New(to)}, PageSize: perWindow,
			})
			if err != nil {
				return err
			}
			for _, d := range found.Deliveries {
				s.counts[i].add(d)
			}
			if last := len(found.Deliveries) - 1; found.NextPageToken != "" {
				s.counts[i].standFor(s.bucket, to.Sub(found.Deliveries[last].Created.AsTime()))
			}
			return nil
		})
	}
	return s, group.Wait()
}

// holding are the targets that hold deliveries back.
func holding(all []*calloutv1.Delivery) (targets []heldTarget) {
	for _, d := range all {
		if d.Held == "" {
			continue
		}
		at := slices.IndexFunc(targets, func(t heldTarget) bool { return t.ID == d.TargetId })
		if at < 0 {
			at, targets = len(targets), append(targets, heldTarget{ID: d.TargetId, Name: d.TargetName, Why: d.Held})
		}
		targets[at].Count++
	}
	return targets
}
