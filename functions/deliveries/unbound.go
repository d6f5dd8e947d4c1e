package deliveries

import (
	"context"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
)

// unbound stands for what the ledger and the store do not have yet: Changer, Valves and SetDelivery.
type unbound struct{}

var errUnbound = errs.Newf(errs.Unimplemented, "this version cannot redeliver, pause or limit yet")

func (unbound) Redeliver(context.Context, action.InstanceID, action.DeliveryID, time.Time) (action.Delivery, error) {
	return action.Delivery{}, errUnbound
}

func (unbound) RedeliverAll(context.Context, []ledger.Version, time.Time) (int, error) {
	return 0, errUnbound
}

func (unbound) DeleteEvent(context.Context, action.InstanceID, action.EventKey) error {
	return errUnbound
}

func (unbound) Valves(context.Context, action.InstanceID, []action.TargetID) ([]action.Valve, error) {
	return nil, nil
}

func (unbound) Pause(context.Context, action.InstanceID, action.TargetID, time.Time) error {
	return errUnbound
}

func (unbound) Resume(context.Context, action.InstanceID, action.TargetID, time.Time) error {
	return errUnbound
}
