package command

import (
	"context"
	"fmt"
	"unicode/utf8"

	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	filterv2 "github.com/callout-dev/callout/shared/gen/zitadel/filter/v2"
)

const (
	pageSize = 1000 // the API's largest (actions-v2.md section 2)
	maxPages = 1000
	// maxReference is the longest id, and the longest name that the API searches for, in characters.
	maxReference = 200
)

// targets finds targets by id or name, in the order of the references. An id wins over a name that looks like it; of names, the exact one
// counts, and it must be one target's alone.
func (c *connection) targets(ctx context.Context, references []string) ([]*actionv2.Target, error) {
	if len(references) == 0 {
		return nil, nil
	}
	for _, r := range references {
		if n := utf8.RuneCountInString(r); n == 0 || n > maxReference {
			return nil, usageErrorf("a target's id or name here has 1 to %d characters; for a longer name give the id", maxReference)
		}
	}
	byID, err := c.listTargets(ctx, &actionv2.TargetSearchFilter{Filter: &actionv2.TargetSearchFilter_InTargetIdsFilter{
		InTargetIdsFilter: &actionv2.InTargetIDsFilter{TargetIds: references}}})
	if err != nil {
		return nil, err
	}
	known := map[string]*actionv2.Target{}
	for _, t := range byID.GetTargets() {
		known[t.GetId()] = t
	}
	found := make([]*actionv2.Target, len(references))
	for i, r := range references {
		if found[i] = known[r]; found[i] == nil {
			if found[i], err = c.targetNamed(ctx, r); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// target finds one.
func (c *connection) target(ctx context.Context, reference string) (*actionv2.Target, error) {
	found, err := c.targets(ctx, []string{reference})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

func (c *connection) targetNamed(ctx context.Context, name string) (*actionv2.Target, error) {
	page, err := c.listTargets(ctx, nameFilter(name, filterv2.TextFilterMethod_TEXT_FILTER_METHOD_EQUALS))
	if err != nil {
		return nil, err
	}
	switch found := page.GetTargets(); len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("no target has the id or the name %q: %q shows those there are", name, "callout target list")
	default:
		return nil, fmt.Errorf("%d targets have the name %q, %s and %s among them: give an id", len(found), name, found[0].GetId(), found[1].GetId())
	}
}

func nameFilter(name string, method filterv2.TextFilterMethod) *actionv2.TargetSearchFilter {
	return &actionv2.TargetSearchFilter{Filter: &actionv2.TargetSearchFilter_TargetNameFilter{
		TargetNameFilter: &actionv2.TargetNameFilter{TargetName: name, Method: method}}}
}

// listTargets reads all pages, the oldest target first, so that what is created meanwhile moves nothing. The answer is the first page's
// with the others' targets.
func (c *connection) listTargets(ctx context.Context, filters ...*actionv2.TargetSearchFilter) (*actionv2.ListTargetsResponse, error) {
	all := &actionv2.ListTargetsResponse{}
	for range maxPages {
		page, err := c.actions.ListTargets(ctx, &actionv2.ListTargetsRequest{
			Pagination: &filterv2.PaginationRequest{Offset: uint64(len(all.Targets)), Limit: pageSize, Asc: true}, Filters: filters})
		if err != nil {
			return nil, err
		}
		all.Targets = append(all.Targets, page.GetTargets()...)
		if all.Pagination == nil {
			all.Pagination = page.GetPagination()
		}
		if len(page.GetTargets()) == 0 || uint64(len(all.Targets)) >= page.GetPagination().GetTotalResult() {
			return all, nil
		}
	}
	return nil, fmt.Errorf("there are more than %d targets", maxPages*pageSize)
}

// listExecutions reads all pages, as listTargets does.
func (c *connection) listExecutions(ctx context.Context, filters ...*actionv2.ExecutionSearchFilter) (*actionv2.ListExecutionsResponse, error) {
	all := &actionv2.ListExecutionsResponse{}
	for range maxPages {
		page, err := c.actions.ListExecutions(ctx, &actionv2.ListExecutionsRequest{
			Pagination: &filterv2.PaginationRequest{Offset: uint64(len(all.Executions)), Limit: pageSize, Asc: true}, Filters: filters})
		if err != nil {
			return nil, err
		}
		all.Executions = append(all.Executions, page.GetExecutions()...)
		if all.Pagination == nil {
			all.Pagination = page.GetPagination()
		}
		if len(page.GetExecutions()) == 0 || uint64(len(all.Executions)) >= page.GetPagination().GetTotalResult() {
			return all, nil
		}
	}
	return nil, fmt.Errorf("there are more than %d executions", maxPages*pageSize)
}
