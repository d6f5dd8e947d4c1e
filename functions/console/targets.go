package console

import (
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	filterv2 "github.com/callout-dev/callout/shared/gen/zitadel/filter/v2"
)

const (
	// targetsPage is how many targets a page lists, and together how many are asked about at once.
	targetsPage = 25
	together    = 8
	// choices is how many targets a form offers: the most that the API lists at once.
	choices = 1000
)

// targetsList is the page of all targets.
type targetsList struct {
	Search string
	Rows   []targetRow
	part
}

// part is which part of a list a page shows: the first and the last of all that there are, and where the parts beside it begin, "" where
// there is none.
type part struct {
	First, Last    int
	Total          uint64
	Earlier, Later string
}

func newPart(offset, shown, size int, total uint64) part {
	s := part{First: offset + 1, Last: offset + shown, Total: total}
	if offset > 0 {
		s.Earlier = strconv.Itoa(max(offset-size, 0))
	}
	if uint64(s.Last) < total {
		s.Later = strconv.Itoa(s.Last)
	}
	return s
}

// targetRow is a target, and how its deliveries fare: nil where the caller may not know.
type targetRow struct {
	*actionv2.Target
	Delivery *calloutv1.TargetDelivery
}

// Kind is the target's type in a word, and Interrupts whether its failure ends a call.
func (t targetRow) Kind() string     { return kindOfTarget(t.Target) }
func (t targetRow) Interrupts() bool { return interrupts(t.Target) }

// Payload is the form of what it receives, in a word.
func (t targetRow) Payload() string {
	for name, payload := range payloads {
		if t.PayloadType == payload {
			return strings.ToUpper(name)
		}
	}
	return "JSON"
}

// Health is in one word how deliveries to it fare.
func (t targetRow) Health() string { return health(t.Delivery) }

func listTargets(v *visit) error {
	p := targetsList{Search: v.form("q")}
	offset := number(v.form("offset"), 0)
	request := &actionv2.ListTargetsRequest{
		Pagination:    &filterv2.PaginationRequest{Offset: uint64(offset), Limit: targetsPage, Asc: true},
		SortingColumn: actionv2.TargetFieldName_TARGET_FIELD_NAME_NAME.Enum(),
	}
	if p.Search != "" {
		request.Filters = []*actionv2.TargetSearchFilter{{Filter: &actionv2.TargetSearchFilter_TargetNameFilter{
			TargetNameFilter: &actionv2.TargetNameFilter{TargetName: p.Search,
				Method: filterv2.TextFilterMethod_TEXT_FILTER_METHOD_CONTAINS_IGNORE_CASE},
		}}}
	}
	found, err := v.actions().ListTargets(v.ctx(), request)
	if err != nil {
		return err
	}
	p.part = newPart(offset, len(found.Targets), targetsPage, found.GetPagination().GetTotalResult())
	p.Rows = make([]targetRow, len(found.Targets))
	group, ctx := errgroup.WithContext(v.ctx())
	group.SetLimit(together)
	deliveries := v.deliveries()
	for i, t := range found.Targets {
		p.Rows[i].Target = t
		group.Go(func() error {
			d, err := deliveries.GetTargetDelivery(ctx, &calloutv1.GetTargetDeliveryRequest{Id: t.Id})
			p.Rows[i].Delivery = d
			return orGone(err)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return v.page("targets", "Targets", p)
}

// allTargets are those that a form offers, by name.
func allTargets(v *visit) ([]*actionv2.Target, error) {
	found, err := v.actions().ListTargets(v.ctx(), &actionv2.ListTargetsRequest{
		Pagination:    &filterv2.PaginationRequest{Limit: choices, Asc: true},
		SortingColumn: actionv2.TargetFieldName_TARGET_FIELD_NAME_NAME.Enum(),
	})
	return found.GetTargets(), err
}

func kindOfTarget(t *actionv2.Target) string {
	switch t.GetTargetType().(type) {
	case *actionv2.Target_RestCall:
		return "call"
	case *actionv2.Target_RestAsync:
		return "async"
	}
	return "webhook"
}

func interrupts(t *actionv2.Target) bool {
	return t.GetRestWebhook().GetInterruptOnError() || t.GetRestCall().GetInterruptOnError()
}

func health(d *calloutv1.TargetDelivery) string {
	switch {
	case d == nil:
		return "unknown"
	case d.State == "paused":
		return "paused"
	case d.Valve != nil:
		return d.Valve.State
	}
	return "healthy"
}

// number reads a number that may be missing or none.
func number(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		return n
	}
	return otherwise
}
