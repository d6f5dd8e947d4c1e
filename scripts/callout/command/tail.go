package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/scripts/callout/terminal"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

const (
	tailPace = time.Second
	// tailOverlap is how far each look goes back behind the newest delivery seen: those who make deliveries have clocks of their own.
	tailOverlap = 10 * time.Second
	// tailPage bounds one look.
	tailPage = 10_000
)

func (a *app) deliveryTail() *cobra.Command {
	var f deliveryFlags
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Follow deliveries: a line for each new one, and when its state changes soon after",
		Example: `  callout delivery tail
  callout delivery tail --target demo --since 10m -o json`,
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error { return a.tailDeliveries(ctx, f) }),
	}
	f.add(cmd.Flags(), "in this state when seen; may be repeated")
	return cmd
}

func (a *app) tailDeliveries(ctx context.Context, f deliveryFlags) error {
	if f.until != "" {
		return usageErrorf("--until: a tail has no end")
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	filter, err := f.filter(ctx, c, time.Now())
	if err != nil {
		return err
	}
	if filter.CreatedFrom == nil {
		filter.CreatedFrom = timestamppb.New(time.Now())
	}
	t := &tail{app: a, connection: c, filter: filter, seen: map[string]*calloutv1.Delivery{}}
	ticker := time.NewTicker(tailPace)
	defer ticker.Stop()
	for {
		if err := t.look(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// tail is what has been printed of the last seconds.
type tail struct {
	*app
	*connection
	filter *calloutv1.DeliveryFilter
	seen   map[string]*calloutv1.Delivery
}

// look prints what is new, the oldest first.
func (t *tail) look(ctx context.Context) error {
	page, err := t.searchDeliveries(ctx, t.filter, tailPage, false)
	if err != nil {
		return err
	}
	slices.Reverse(page.Deliveries)
	for _, d := range page.GetDeliveries() {
		if old := t.seen[d.GetId()]; old.GetState() == d.GetState() && old.GetAttemptCount() == d.GetAttemptCount() {
			continue
		}
		t.seen[d.GetId()] = d
		if err := t.print(d); err != nil {
			return err
		}
		if next := d.GetCreated().AsTime().Add(-tailOverlap); next.After(t.filter.GetCreatedFrom().AsTime()) {
			t.filter.CreatedFrom = timestamppb.New(next)
		}
	}
	for id, d := range t.seen {
		if d.GetCreated().AsTime().Before(t.filter.GetCreatedFrom().AsTime()) {
			delete(t.seen, id)
		}
	}
	return nil
}

func (t *tail) print(d *calloutv1.Delivery) error {
	if t.forMachines() {
		text, err := protojson.Marshal(d)
		if err != nil {
			return err
		}
		return t.showJSON(text)
	}
	row := deliveryRow(d)
	state := t.paint.Paint(stateColours[row[1]], fmt.Sprintf("%-9s", row[1]))
	rest := terminal.Line(strings.TrimSpace(fmt.Sprintf("%s  %s  %s %s", row[2], row[3], row[5], row[8])))
	_, err := fmt.Fprintf(t.Out, "%s  %s  %s  %s\n", terminal.Line(row[6]), terminal.Line(row[0]), state, rest)
	return err
}
