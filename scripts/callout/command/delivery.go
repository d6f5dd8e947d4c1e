package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/shared/action"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// deliveryFlags say which deliveries are meant.
type deliveryFlags struct {
	states       []string
	target       string
	eventType    string
	since, until string
	held         bool
	text         string
}

func (f *deliveryFlags) add(flags *pflag.FlagSet, states string) {
	flags.StringSliceVar(&f.states, "state", nil, states)
	flags.StringVar(&f.target, "target", "", "to this target, by id or name")
	flags.StringVar(&f.eventType, "type", "", "of this event type")
	flags.StringVar(&f.since, "since", "", "made since then: 1h (ago), 12:00 (the last time it was), or RFC 3339")
	flags.StringVar(&f.until, "until", "", "made before then")
	flags.StringVar(&f.text, "text", "", "an event's id, or a part of a delivery's id or of an event's key")
}

// filter makes the API's filter. What it is relative to now is settled here once, for all pages.
func (f *deliveryFlags) filter(ctx context.Context, c *connection, now time.Time) (*calloutv1.DeliveryFilter, error) {
	m := &calloutv1.DeliveryFilter{States: f.states, EventType: f.eventType, Text: f.text}
	if f.held {
		m.Held = &f.held
	}
	var err error
	if m.CreatedFrom, err = moments("--since", f.since, now); err != nil {
		return nil, err
	}
	if m.CreatedTo, err = moments("--until", f.until, now); err != nil {
		return nil, err
	}
	if f.target != "" {
		m.Target, err = c.targetID(ctx, f.target)
	}
	return m, err
}

// targetID finds a target's id. One that looks like an id may be of a target that is gone: its deliveries are still there.
func (c *connection) targetID(ctx context.Context, reference string) (string, error) {
	if action.DeliveryID(reference).Valid() { // ids of targets and of deliveries have one form
		return reference, nil
	}
	t, err := c.target(ctx, reference)
	return t.GetId(), err
}

// moments reads a time as people write it; nil for "".
func moments(flag, text string, now time.Time) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return timestamppb.New(now.Add(-ago)), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return timestamppb.New(t), nil
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		clock, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		year, month, day := now.Date()
		t := time.Date(year, month, day, clock.Hour(), clock.Minute(), clock.Second(), 0, now.Location())
		if t.After(now) {
			t = t.AddDate(0, 0, -1)
		}
		return timestamppb.New(t), nil
	}
	return nil, usageErrorf("%s must be a duration like 1h, a time of day like 12:00, or an RFC 3339 time", flag)
}

func (a *app) deliveryList() *cobra.Command {
	var f deliveryFlags
	var limit int
	var counts bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List deliveries, the newest first",
		Example: `  callout delivery list --target demo --state dead --since 12:00
  callout delivery list --text order-1-created
  callout delivery list --counts
  callout delivery list --state retrying --state dead --watch --interval 5s`,
		Args: cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if limit < 1 {
				return usageErrorf("--limit must be at least 1")
			}
			return nil
		},
	}
	f.add(cmd.Flags(), "in this state: pending, retrying, delivered, dead or skipped; may be repeated")
	cmd.Flags().BoolVar(&f.held, "held", false, "only those that wait because of their target")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many")
	cmd.Flags().BoolVar(&counts, "counts", false, "print how many there are in each state, for --target and the times")
	return a.watchable(cmd, func(ctx context.Context, c *connection, _ []string) error {
		return a.listDeliveries(ctx, c, f, limit, counts)
	})
}

func (a *app) listDeliveries(ctx context.Context, c *connection, f deliveryFlags, limit int, counts bool) error {
	filter, err := f.filter(ctx, c, time.Now())
	if err != nil {
		return err
	}
	all, err := c.searchDeliveries(ctx, filter, limit, counts)
	if err != nil {
		return err
	}
	rows := [][]string{deliveryHeader}
	for _, d := range all.GetDeliveries() {
		rows = append(rows, deliveryRow(d))
	}
	if err := a.show(all, rows); err != nil || !counts || a.forMachines() {
		return err
	}
	var words []string
	for _, s := range []action.State{action.Pending, action.Retrying, action.Delivered, action.Dead, action.Skipped} {
		words = append(words, fmt.Sprintf("%d %s", all.GetCounts()[string(s)], s))
	}
	_, err = fmt.Fprintln(a.Out, strings.Join(words, ", "))
	return err
}

// searchDeliveries reads pages until there are enough. The token of the answer is where to go on.
func (c *connection) searchDeliveries(ctx context.Context, f *calloutv1.DeliveryFilter, limit int, counts bool) (*calloutv1.SearchDeliveriesResponse, error) {
	all := &calloutv1.SearchDeliveriesResponse{}
	for {
		page, err := c.deliveries.SearchDeliveries(ctx, &calloutv1.SearchDeliveriesRequest{
			Filter: f, PageSize: int32(min(limit-len(all.Deliveries), pageSize)), PageToken: all.NextPageToken, Counts: counts})
		if err != nil {
			return nil, err
		}
		if counts {
			all.Counts, counts = page.GetCounts(), false
		}
		all.Deliveries = append(all.Deliveries, page.GetDeliveries()...)
		all.NextPageToken = page.GetNextPageToken()
		if all.NextPageToken == "" || len(all.Deliveries) >= limit {
			return all, nil
		}
	}
}

var deliveryHeader = []string{"ID", stateHeader, "TARGET", "TYPE", "ATTEMPTS", "LAST", "CREATED", "DUE", "NOTE"}

func deliveryRow(d *calloutv1.Delivery) []string {
	last := "-"
	if n := len(d.GetAttempts()); n > 0 {
		last = attemptResult(d.GetAttempts()[n-1])
	}
	return []string{d.GetId(), d.GetState(), shownTarget(d.GetTargetName(), d.GetTargetId()), d.GetEventType(), strconv.Itoa(int(d.GetAttemptCount())),
		last, moment(d.GetCreated()), moment(d.GetDue()), deliveryNote(d)}
}

// deliveryNote says what keeps a delivery from being tried, or ended it.
func deliveryNote(d *calloutv1.Delivery) string {
	switch {
	case d.GetHeld() != "":
		return "held: " + d.GetHeld()
	case d.GetWaits():
		return "waits for " + d.GetFollows()
	}
	return d.GetReason()
}

func attemptResult(t *calloutv1.Attempt) string {
	switch {
	case t.GetStatus() != 0:
		return strconv.Itoa(int(t.GetStatus()))
	case t.GetError() != "":
		return t.GetError()
	}
	return t.GetOutcome()
}

func (a *app) deliveryGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "get DELIVERY",
		Short:   "Show a delivery with every attempt",
		Example: "  callout delivery get 5vb3oy7hnv3mwhyk2fg7uqkzpe\n  callout delivery get 5vb3oy7hnv3mwhyk2fg7uqkzpe --watch",
		Args:    cobra.ExactArgs(1),
	}
	return a.watchable(cmd, func(ctx context.Context, c *connection, args []string) error {
		d, err := c.deliveries.GetDelivery(ctx, &calloutv1.GetDeliveryRequest{Id: args[0]})
		if err != nil {
			return err
		}
		return a.showDelivery(d)
	})
}

func (a *app) showDelivery(d *calloutv1.Delivery) error {
	event := d.GetEventId()
	if event == "" {
		event = d.GetEventKey() + " (key; the event is not on record any more)"
	}
	rows := [][]string{{"id", d.GetId()}, {"state", d.GetState()}, {"event", event}}
	add := func(name, value string) {
		if value != "" && value != "-" {
			rows = append(rows, []string{name, value})
		}
	}
	add("source", d.GetSource())
	add("type", d.GetEventType())
	add("target", shownTarget(d.GetTargetName(), d.GetTargetId()))
	add("note", deliveryNote(d))
	add("created", moment(d.GetCreated()))
	add("changed", moment(d.GetChanged()))
	add("due", moment(d.GetDue()))
	add("expires", moment(d.GetExpires()))
	add("follows", d.GetFollows())
	add("unblocks", strings.Join(d.GetUnblocks(), ", "))
	for _, t := range d.GetAttempts() {
		took := time.Duration(t.GetDurationMs() * float64(time.Millisecond)).Round(time.Microsecond)
		text := fmt.Sprintf("%s  %s  %s  %s", moment(t.GetStart()), t.GetOutcome(), attemptResult(t), took)
		if t.GetAnswer() != "" {
			text += "  " + t.GetAnswer()
		}
		rows = append(rows, []string{"attempt " + strconv.Itoa(int(t.GetNumber())), text})
	}
	return a.show(d, rows)
}
