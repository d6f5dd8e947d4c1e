package command

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

// maxGrace is how long a former signing key may go on signing.
const maxGrace = 7 * 24 * time.Hour

func (a *app) targetRotate() *cobra.Command {
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "rotate ID|NAME",
		Short: "Give a target a new signing key, and print it; for the grace, the former one signs too",
		Example: `  callout target rotate demo --grace 24h
  callout target rotate demo --grace 0s`,
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error { return a.rotateTarget(ctx, args[0], grace) }),
	}
	cmd.Flags().DurationVar(&grace, "grace", 24*time.Hour, "how long the former key signs too, up to 168h; 0s ends all former keys at once")
	return cmd
}

func (a *app) rotateTarget(ctx context.Context, reference string, grace time.Duration) error {
	if grace < 0 || grace > maxGrace {
		return usageErrorf("--grace must be 0s to %s", maxGrace)
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	t, err := c.target(ctx, reference)
	if err != nil {
		return err
	}
	answer, err := c.actions.UpdateTarget(ctx, &actionv2.UpdateTargetRequest{Id: t.GetId(), ExpirationSigningKey: durationpb.New(grace)})
	if err != nil {
		return err
	}
	return a.show(answer, [][]string{{"id", t.GetId()}, {"signing key", answer.GetSigningKey()}, {"changed", moment(answer.GetChangeDate())},
		{"former key", "signs too for " + grace.String()}})
}
