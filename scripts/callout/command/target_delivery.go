package command

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/structpb"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

func (a *app) targetTest() *cobra.Command {
	return &cobra.Command{
		Use:     "test TARGET",
		Short:   "Send an event that only this target receives; prints its delivery's id",
		Example: "  callout target test demo",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withTarget(ctx, args[0], func(c *connection, id string) error {
				answer, err := c.deliveries.TestTarget(ctx, &calloutv1.TestTargetRequest{Id: id})
				if err != nil {
					return err
				}
				return a.show(answer, [][]string{{"event", answer.GetEventId()}, {"delivery", answer.GetDeliveryId()}})
			})
		}),
	}
}

func (a *app) targetPause() *cobra.Command {
	return &cobra.Command{
		Use:     "pause TARGET",
		Short:   "Hold all deliveries of events to a target",
		Example: "  callout target pause demo",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withTarget(ctx, args[0], func(c *connection, id string) error {
				return a.showTargetDelivery(c.deliveries.PauseTarget(ctx, &calloutv1.PauseTargetRequest{Id: id}))
			})
		}),
	}
}

func (a *app) targetResume() *cobra.Command {
	return &cobra.Command{
		Use:     "resume TARGET",
		Short:   "Release what is held for a target, at a bounded rate",
		Example: "  callout target resume demo",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withTarget(ctx, args[0], func(c *connection, id string) error {
				return a.showTargetDelivery(c.deliveries.ResumeTarget(ctx, &calloutv1.ResumeTargetRequest{Id: id}))
			})
		}),
	}
}

func (a *app) targetSettings() *cobra.Command {
	var schedule string
	var rate, concurrency int32
	state := choice{allowed: []string{"active", "paused"}}
	cmd := &cobra.Command{
		Use:   "settings TARGET",
		Short: "Show how events are delivered to a target, or change it with flags",
		Example: `  callout target settings demo
  callout target settings demo --watch
  callout target settings demo --schedule 5s,1m,1h --rate 50 --concurrency 10
  callout target settings demo --schedule default --rate 0`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	f.StringVar(&schedule, "schedule", "", "waits after each failed attempt: up to 24 of 1s to 168h; default: the installation's")
	f.Int32Var(&rate, "rate", 0, "deliveries a second, up to 10000; 0: no limit")
	f.Int32Var(&concurrency, "concurrency", 0, "deliveries under way at once, up to 1000; 0: no limit of its own")
	f.Var(&state, "state", "pause or resume the target")
	changes := func() bool {
		return slices.ContainsFunc([]string{"schedule", "rate", "concurrency", "state"}, f.Changed)
	}
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if changes() && f.Changed("watch") {
			return usageErrorf("--watch only looks: change the settings first, and watch then")
		}
		return nil
	}
	return a.watchable(cmd, func(ctx context.Context, c *connection, args []string) error {
		t, err := c.target(ctx, args[0])
		if err != nil {
			return err
		}
		if !changes() {
			return a.showTargetDelivery(c.deliveries.GetTargetDelivery(ctx, &calloutv1.GetTargetDeliveryRequest{Id: t.GetId()}))
		}
		request := &calloutv1.UpdateTargetDeliveryRequest{Id: t.GetId()}
		if f.Changed("schedule") {
			request.Schedule = scheduleList(schedule)
		}
		if f.Changed("rate") {
			request.RatePerSecond = &rate
		}
		if f.Changed("concurrency") {
			request.Concurrency = &concurrency
		}
		if f.Changed("state") {
			request.State = &state.value
		}
		return a.showTargetDelivery(c.deliveries.UpdateTargetDelivery(ctx, request))
	})
}

// scheduleList makes the list of waits; "default" and "" are the empty one.
func scheduleList(text string) *structpb.ListValue {
	list := &structpb.ListValue{}
	if text == "" || text == "default" {
		return list
	}
	for wait := range strings.SplitSeq(text, ",") {
		list.Values = append(list.Values, structpb.NewStringValue(strings.TrimSpace(wait)))
	}
	return list
}

// withTarget finds a target and does something with it.
func (a *app) withTarget(ctx context.Context, reference string, do func(c *connection, id string) error) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	t, err := c.target(ctx, reference)
	if err != nil {
		return err
	}
	return do(c, t.GetId())
}

// showTargetDelivery prints a call's answer.
func (a *app) showTargetDelivery(d *calloutv1.TargetDelivery, err error) error {
	if err != nil {
		return err
	}
	schedule := strings.Join(d.GetSchedule(), ", ")
	if schedule == "" {
		schedule = strings.Join(d.GetEffectiveSchedule(), ", ") + " (the installation's)"
	}
	rows := [][]string{{"state", d.GetState()}, {"schedule", schedule}, {"rate", limitText(d.GetRatePerSecond(), " a second")},
		{"concurrency", limitText(d.GetConcurrency(), "")}}
	if v := d.GetValve(); v != nil {
		rows = append(rows, []string{"valve", v.GetState() + ": " + v.GetReason()}, []string{"since", moment(v.GetSince())},
			[]string{"held", strconv.Itoa(int(v.GetHeld()))})
		if v.GetRate() > 0 {
			rows = append(rows, []string{"released", strconv.Itoa(int(v.GetRate())) + " a second"})
		}
	}
	return a.show(d, rows)
}

func limitText(n int32, unit string) string {
	if n == 0 {
		return "no limit"
	}
	return strconv.Itoa(int(n)) + unit
}
