package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/callout-dev/callout/scripts/callout/terminal"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

func (a *app) deliveryExplain() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use:   "explain EVENT",
		Short: "Say which executions an event matched or not and why, and what became of each target",
		Example: `  callout delivery explain order-1-created
  callout delivery explain 4711 --source urn:shop`,
		Args: cobra.ExactArgs(1),
	}
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		request := &calloutv1.ExplainEventRequest{Id: args[0]}
		if cmd.Flags().Changed("source") {
			request.Source = &source
		}
		return a.explainEvent(ctx, request)
	})
	cmd.Flags().StringVar(&source, "source", "", "only the event of this source (default: of all sources that used the id)")
	return cmd
}

func (a *app) explainEvent(ctx context.Context, request *calloutv1.ExplainEventRequest) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	answer, err := c.deliveries.ExplainEvent(ctx, request)
	if err != nil {
		return err
	}
	if a.forMachines() {
		return a.show(answer, nil)
	}
	for i, e := range answer.GetEvents() {
		if i > 0 {
			fmt.Fprintln(a.Out)
		}
		writeExplanation(a.Out, e)
	}
	return nil
}

// writeExplanation draws an event as a tree.
func writeExplanation(w io.Writer, e *calloutv1.EventExplanation) {
	line := func(format string, args ...any) { fmt.Fprintln(w, terminal.Line(fmt.Sprintf(format, args...))) }
	title := fmt.Sprintf("%s  %s  accepted %s", e.GetId(), e.GetEventType(), moment(e.GetCreated()))
	if e.GetSource() != "" {
		title += "  from " + e.GetSource()
	}
	line("%s", title)
	line("%s", e.GetSummary())
	if e.GetPayloadDeleted() {
		line("its payload was deleted")
	}
	names := map[string]string{}
	for _, t := range e.GetTargets() {
		names[t.GetTargetId()] = shownTarget(t.GetTargetName(), t.GetTargetId())
	}
	line("executions, the most specific first")
	for i, c := range e.GetCandidates() {
		text := c.GetExecution() + "  " + c.GetWhy()
		if c.GetExists() {
			var targets []string
			for _, id := range c.GetTargets() {
				if names[id] == "" {
					names[id] = id
				}
				targets = append(targets, names[id])
			}
			text += "; now calls " + strings.Join(targets, ", ")
		}
		line("%s%s", branch(i, len(e.GetCandidates())), text)
	}
	if len(e.GetTargets()) == 0 {
		return
	}
	line("targets")
	for i, t := range e.GetTargets() {
		gone := ""
		if !t.GetExists() {
			gone = " (gone)"
		}
		text := fmt.Sprintf("%s%s  %s  %s", names[t.GetTargetId()], gone, t.GetState(), t.GetWhy())
		if n := t.GetAttemptCount(); n > 0 {
			text += fmt.Sprintf("; attempts: %d", n)
		}
		if t.GetDue() != nil {
			text += "; due " + moment(t.GetDue())
		}
		line("%s%s  [%s]", branch(i, len(e.GetTargets())), text, t.GetDeliveryId())
	}
}

func branch(i, n int) string {
	if i == n-1 {
		return "└─ "
	}
	return "├─ "
}
