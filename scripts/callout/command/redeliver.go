package command

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// askAbove is how many deliveries are put back without a question.
const askAbove = 100

func (a *app) deliveryRedeliver() *cobra.Command {
	var f deliveryFlags
	var yes, dry bool
	cmd := &cobra.Command{
		Use:   "redeliver [DELIVERY]",
		Short: "Try one delivery again now, or all dead ones that the flags say",
		Long: `Try one delivery again now, whatever its state; or put back every dead one that the flags say, which are released at a bounded rate.
More than 100 are put back only after a question, or with --yes.`,
		Example: `  callout delivery redeliver 5vb3oy7hnv3mwhyk2fg7uqkzpe
  callout delivery redeliver --target demo --state dead --since 12:00
  callout delivery redeliver --target demo --since 1h --dry-run`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			said := slices.ContainsFunc([]string{"state", "target", "type", "since", "until", "text"}, cmd.Flags().Changed)
			switch {
			case len(args) == 1 && (said || dry):
				return usageErrorf("give a delivery's id, or flags that say which are meant: not both")
			case len(args) == 0 && !said:
				return usageErrorf("say which: a delivery's id, or flags like --target and --since; --state dead alone means every dead one")
			}
			return a.run(func(ctx context.Context, args []string) error {
				if len(args) == 1 {
					return a.redeliverOne(ctx, args[0])
				}
				return a.redeliverMany(ctx, f, yes, dry)
			})(cmd, args)
		},
	}
	f.add(cmd.Flags(), "dead, which is the only one that can be put back by flags")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say how many there are")
	return cmd
}

func (a *app) redeliverOne(ctx context.Context, id string) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	d, err := c.deliveries.RedeliverDelivery(ctx, &calloutv1.RedeliverDeliveryRequest{Id: id})
	if err != nil {
		return err
	}
	return a.showDelivery(d)
}

func (a *app) redeliverMany(ctx context.Context, f deliveryFlags, yes, dry bool) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	filter, err := f.filter(ctx, c, time.Now())
	if err != nil {
		return err
	}
	total, err := c.redeliver(ctx, filter, true, nil)
	if err != nil {
		return err
	}
	if dry || total.Matched == 0 {
		return a.showRedelivery(total, dry)
	}
	if total.Matched > askAbove && !yes {
		if err := a.confirm(fmt.Sprintf("Redeliver %d deliveries?", total.Matched)); err != nil {
			return err
		}
	}
	bar := a.progress("redelivering", int64(total.Matched))
	done, err := c.redeliver(ctx, filter, false, func(matched int) { _ = bar.Set(matched) })
	_ = bar.Clear()
	if done.Matched == 0 && err != nil {
		return err
	}
	if showErr := a.showRedelivery(done, false); err == nil {
		err = showErr
	}
	return err
}

// redelivery is what many calls did together.
type redelivery struct {
	Matched int `json:"matched"`
	Moved   int `json:"moved"`
}

// redeliver repeats the call until there is no more.
func (c *connection) redeliver(ctx context.Context, f *calloutv1.DeliveryFilter, dry bool, progress func(matched int)) (redelivery, error) {
	var sum redelivery
	for token := ""; ; {
		answer, err := c.deliveries.RedeliverDeliveries(ctx, &calloutv1.RedeliverDeliveriesRequest{Filter: f, PageToken: token, DryRun: dry})
		if err != nil {
			return sum, err
		}
		sum.Matched += int(answer.GetMatched())
		sum.Moved += int(answer.GetMoved())
		if progress != nil {
			progress(sum.Matched)
		}
		if token = answer.GetNextPageToken(); token == "" {
			return sum, nil
		}
	}
}

func (a *app) showRedelivery(r redelivery, dry bool) error {
	if a.forMachines() {
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		return a.showJSON(text)
	}
	text := fmt.Sprintf("%d put back", r.Moved)
	switch {
	case dry:
		text = fmt.Sprintf("%d would be put back", r.Matched)
	case r.Matched == 0:
		text = "there is none"
	case r.Moved < r.Matched:
		text += fmt.Sprintf(", %d were not dead any more", r.Matched-r.Moved)
	}
	_, err := fmt.Fprintln(a.Out, text)
	return err
}

// confirm wants a yes.
func (a *app) confirm(question string) error {
	fmt.Fprintf(a.Err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(io.LimitReader(a.In, 100)).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return fmt.Errorf("nothing was done; --yes answers the question")
	}
	return nil
}
