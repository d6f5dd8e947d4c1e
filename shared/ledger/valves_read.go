package ledger

import (
	"context"

	"github.com/callout-dev/callout/shared/action"
)

// Valves reads the valves of those of the targets that have one.
func (l *Ledger) Valves(context.Context, action.InstanceID, []action.TargetID) ([]action.Valve, error) {
	return nil, nil
}
