package command

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

func (a *app) executionSet() *cobra.Command {
	return &cobra.Command{
		Use:   "set CONDITION [TARGET…]",
		Short: "Say which targets a condition calls, in this order; none removes it",
		Long: `Say which targets, by id or name, a condition calls, in this order. Without targets the execution is removed.

Conditions:
  event/user.human.added    one event type
  event/user.*              all event types in a group
  event                     all events
  request/acme.orders.v1.OrderService/Create    one method's requests
  request/acme.orders.v1.OrderService           one service's
  request                                       all
  response…                 the same for responses
  function/preuserinfo      one function`,
		Example: `  callout execution set event/order.created demo
  callout execution set 'event/user.*' audit mirror
  callout execution set event/order.created`,
		Args: cobra.MinimumNArgs(1),
		RunE: a.run(a.setExecution),
	}
}

func (a *app) setExecution(ctx context.Context, args []string) error {
	condition, err := parseCondition(args[0])
	if err != nil {
		return err
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	targets, err := c.targets(ctx, args[1:])
	if err != nil {
		return err
	}
	request := &actionv2.SetExecutionRequest{Condition: condition}
	for _, t := range targets {
		if slices.Contains(request.Targets, t.GetId()) {
			return usageErrorf("target %s is named twice", shownTarget(t.GetName(), t.GetId()))
		}
		request.Targets = append(request.Targets, t.GetId())
	}
	answer, err := c.actions.SetExecution(ctx, request)
	if err != nil {
		return err
	}
	rows := [][]string{{"condition", formatCondition(condition)}}
	for _, t := range targets {
		rows = append(rows, []string{"target", shownTarget(t.GetName(), t.GetId())})
	}
	if len(targets) == 0 {
		rows = append(rows, []string{"targets", "none: nothing is called"})
	}
	return a.show(answer, append(rows, []string{"set", moment(answer.GetSetDate())}))
}

var executionTypes = map[string]actionv2.ExecutionType{
	"request":  actionv2.ExecutionType_EXECUTION_TYPE_REQUEST,
	"response": actionv2.ExecutionType_EXECUTION_TYPE_RESPONSE,
	"event":    actionv2.ExecutionType_EXECUTION_TYPE_EVENT,
	"function": actionv2.ExecutionType_EXECUTION_TYPE_FUNCTION,
}

func (a *app) executionList() *cobra.Command {
	kind := choice{allowed: []string{"request", "response", "event", "function"}}
	var target string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List executions and the targets they call",
		Example: "  callout execution list --type event --target demo\n  callout execution list --watch",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().Var(&kind, "type", "only these")
	cmd.Flags().StringVar(&target, "target", "", "only those that call this target (id or name)")
	return a.watchable(cmd, func(ctx context.Context, c *connection, _ []string) error {
		return a.listExecutions(ctx, c, kind.value, target)
	})
}

func (a *app) listExecutions(ctx context.Context, c *connection, kind, target string) error {
	var filters []*actionv2.ExecutionSearchFilter
	if kind != "" {
		filters = append(filters, &actionv2.ExecutionSearchFilter{Filter: &actionv2.ExecutionSearchFilter_ExecutionTypeFilter{
			ExecutionTypeFilter: &actionv2.ExecutionTypeFilter{ExecutionType: executionTypes[kind]}}})
	}
	if target != "" {
		t, err := c.target(ctx, target)
		if err != nil {
			return err
		}
		filters = append(filters, &actionv2.ExecutionSearchFilter{Filter: &actionv2.ExecutionSearchFilter_TargetFilter{
			TargetFilter: &actionv2.TargetFilter{TargetId: t.GetId()}}})
	}
	list, err := c.listExecutions(ctx, filters...)
	if err != nil {
		return err
	}
	if a.forMachines() {
		return a.show(list, nil)
	}
	names, err := c.targetNames(ctx, list.GetExecutions())
	if err != nil {
		return err
	}
	rows := [][]string{{"CONDITION", "TARGETS", "CHANGED"}}
	for _, e := range list.GetExecutions() {
		var shown []string
		for _, id := range e.GetTargets() {
			shown = append(shown, shownTarget(names[id], id))
		}
		rows = append(rows, []string{formatCondition(e.GetCondition()), strings.Join(shown, ", "), moment(e.GetChangeDate())})
	}
	return a.show(list, rows)
}

// targetNames reads the names of all targets that the executions call, by id.
func (c *connection) targetNames(ctx context.Context, executions []*actionv2.Execution) (map[string]string, error) {
	names := map[string]string{}
	var ids []string
	for _, e := range executions {
		for _, id := range e.GetTargets() {
			if _, known := names[id]; !known {
				names[id] = ""
				ids = append(ids, id)
			}
		}
	}
	for len(ids) > 0 {
		some := ids[:min(len(ids), pageSize)]
		ids = ids[len(some):]
		page, err := c.listTargets(ctx, &actionv2.TargetSearchFilter{Filter: &actionv2.TargetSearchFilter_InTargetIdsFilter{
			InTargetIdsFilter: &actionv2.InTargetIDsFilter{TargetIds: some}}})
		if err != nil {
			return nil, err
		}
		for _, t := range page.GetTargets() {
			names[t.GetId()] = t.GetName()
		}
	}
	return names, nil
}

func shownTarget(name, id string) string {
	if name == "" {
		return id
	}
	return name + " (" + id + ")"
}
