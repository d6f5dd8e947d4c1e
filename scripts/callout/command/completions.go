package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/callout-dev/callout/scripts/callout/access"
	"github.com/callout-dev/callout/scripts/callout/terminal"
	"github.com/callout-dev/callout/shared/action"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	filterv2 "github.com/callout-dev/callout/shared/gen/zitadel/filter/v2"
)

// mostCompletions bounds what is asked of the API for them.
const mostCompletions = 100

// completeTargets are the names of targets, and the ids of those that are asked for by id or that have a name which cannot be typed.
func completeTargets(ctx context.Context, c *connection, typed string) (found []string, err error) {
	var filters []*actionv2.TargetSearchFilter
	if typed != "" {
		id := &actionv2.TargetSearchFilter{Filter: &actionv2.TargetSearchFilter_InTargetIdsFilter{InTargetIdsFilter: &actionv2.InTargetIDsFilter{TargetIds: []string{typed}}}}
		filters = append(filters, nameFilter(typed, filterv2.TextFilterMethod_TEXT_FILTER_METHOD_STARTS_WITH))
		if action.DeliveryID(typed).Valid() { // ids of targets and of deliveries have one form
			filters[0] = id
		}
	}
	page, err := c.actions.ListTargets(ctx, &actionv2.ListTargetsRequest{Pagination: &filterv2.PaginationRequest{Limit: mostCompletions}, Filters: filters})
	for _, t := range page.GetTargets() {
		if name := t.GetName(); terminal.Line(name) == name && !action.DeliveryID(typed).Valid() {
			found = append(found, name+"\t"+t.GetEndpoint())
			continue
		}
		found = append(found, t.GetId()+"\t"+t.GetName())
	}
	return found, err
}

// completeConditions are the conditions that the catalogue makes possible. The kinds come first: there are many names.
func completeConditions(ctx context.Context, c *connection, typed string) (found []string, err error) {
	kind, _, named := strings.Cut(typed, "/")
	if !named {
		return []string{"event\tall events", "event/", "request\tall requests", "request/", "response\tall responses", "response/", "function/"}, nil
	}
	names, err := c.catalog.ListCatalog(ctx, &calloutv1.ListCatalogRequest{})
	if err != nil {
		return nil, err
	}
	add := func(description string, names ...string) {
		for _, name := range names {
			found = append(found, kind+"/"+strings.TrimPrefix(name, "/")+"\t"+description)
		}
	}
	switch action.Kind(kind) {
	case action.Event:
		add("a group", groupsOf(names.GetEvents())...)
		add("an event", names.GetEvents()...)
	case action.Function:
		add("a function", names.GetFunctions()...)
	case action.Request, action.Response:
		add("a service", names.GetServices()...)
		add("a method", names.GetMethods()...)
	}
	return found, nil
}

// groupsOf are the groups of events, as conditions are written.
func groupsOf(events []string) []string {
	groups := map[string]bool{}
	for _, e := range events {
		for i := strings.LastIndexByte(e, '.'); i > 0; i = strings.LastIndexByte(e[:i], '.') {
			groups[e[:i]+".*"] = true
		}
	}
	return slices.Sorted(maps.Keys(groups))
}

func completeEvents(ctx context.Context, c *connection, _ string) ([]string, error) {
	names, err := c.catalog.ListCatalog(ctx, &calloutv1.ListCatalogRequest{})
	return names.GetEvents(), err
}

func completeHosts(ctx context.Context, c *connection, _ string) (found []string, err error) {
	names, err := c.catalog.ListCatalog(ctx, &calloutv1.ListCatalogRequest{})
	for _, h := range names.GetHosts() {
		found = append(found, h.GetHost())
	}
	return found, err
}

// completeDeliveries are the newest ones.
func completeDeliveries(ctx context.Context, c *connection, _ string) (found []string, err error) {
	page, err := c.deliveries.SearchDeliveries(ctx, &calloutv1.SearchDeliveriesRequest{PageSize: mostCompletions})
	for _, d := range page.GetDeliveries() {
		found = append(found, fmt.Sprintf("%s\t%s %s to %s", d.GetId(), d.GetState(), d.GetEventType(), shownTarget(d.GetTargetName(), d.GetTargetId())))
	}
	return found, err
}

// completeKeys completes a target, and then its public keys.
func (a *app) completeKeys(targets cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return targets(cmd, args, typed)
		case 1:
			return a.completer(func(ctx context.Context, c *connection, _ string) (found []string, err error) {
				t, err := c.target(ctx, args[0])
				if err != nil {
					return nil, err
				}
				list, err := c.listKeys(ctx, t.GetId())
				for _, k := range list.GetPublicKeys() {
					found = append(found, k.GetKeyId()+"\t"+k.GetFingerprint())
				}
				return found, err
			})(cmd, args, typed)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeClients are those of local.json that have a secret.
func (a *app) completeClients(_ *cobra.Command, _ []string, typed string) (found []string, _ cobra.ShellCompDirective) {
	choice, err := a.choice(false)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	local, _ := access.ReadLocal(choice.Data) // without one, there are none
	for _, name := range slices.Sorted(maps.Keys(local.Clients)) {
		if local.Clients[name].Secret != "" {
			found = append(found, name)
		}
	}
	return fitting(found, typed), cobra.ShellCompDirectiveNoFileComp
}
