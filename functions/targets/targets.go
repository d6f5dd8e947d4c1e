// Package targets is the function that keeps targets: where and how to call.
package targets

import (
	"context"
	"log/slog"
	"net/url"
	"strconv"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/egress"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/queue"
	"github.com/callout-dev/callout/shared/store"
)

// Operations are those of api.Targets.
type Operations struct {
	Store  *store.Store
	Ledger *ledger.Ledger
	Queue  *queue.Queue
	Egress *egress.Policy
	Log    *slog.Logger
	// HideSigningKeys: only who creates a target or replaces its key is told the key.
	HideSigningKeys bool
}

var (
	errCreateDenied = errs.New(errs.InvalidArgument, "COMMAND-NcJUKo", "Errors.Target.DeniedURL")
	errUpdateDenied = errs.New(errs.InvalidArgument, "COMMAND-jKbbu2", "Errors.Target.DeniedURL")
)

// Create makes a target with an id and a signing key of its own.
func (o *Operations) Create(ctx context.Context, caller auth.Caller, t action.Target) (action.Target, error) {
	if err := t.Validate(); err != nil {
		return action.Target{}, err
	}
	if err := o.checkEndpoint(ctx, t.Endpoint, errCreateDenied); err != nil {
		return action.Target{}, err
	}
	if err := o.ensureKey(ctx, caller.Instance, t.PayloadType); err != nil {
		return action.Target{}, err
	}
	key, err := action.NewSigningKey()
	if err != nil {
		return action.Target{}, err
	}
	t.ID = action.NewTargetID()
	t.SigningKeys = []action.SigningKey{{Value: key}}
	return o.Store.By(caller.Subject).CreateTarget(ctx, caller.Instance, t)
}

// Update changes a target; rotated says whether its signing key is a new one.
func (o *Operations) Update(ctx context.Context, caller auth.Caller, id action.TargetID, c action.TargetChange) (action.Target, bool, error) {
	if err := o.ensureKey(ctx, caller.Instance, c.PayloadType); err != nil {
		return action.Target{}, false, err
	}
	checked := "" // what a transaction tries again asks nobody again
	t, err := o.Store.By(caller.Subject).UpdateTarget(ctx, caller.Instance, id, func(old action.Target) (action.Target, bool, error) {
		changed, differs, err := c.Apply(old, time.Now(), action.NewSigningKey)
		if err != nil || changed.Endpoint == old.Endpoint || changed.Endpoint == checked {
			return changed, differs, err
		}
		if err := o.checkEndpoint(ctx, changed.Endpoint, errUpdateDenied); err != nil {
			return changed, differs, err
		}
		checked = changed.Endpoint
		return changed, differs, nil
	})
	return t, c.RotateKey != nil, err
}

// Delete says when the target was removed: the zero time if there never was one. Its unfinished deliveries are given up.
func (o *Operations) Delete(ctx context.Context, caller auth.Caller, id action.TargetID) (time.Time, error) {
	removed, err := o.Store.By(caller.Subject).DeleteTarget(ctx, caller.Instance, id)
	if err != nil || removed.IsZero() {
		return removed, err
	}
	err = o.Ledger.Remove(ctx, caller.Instance, id, time.Now().UTC())
	if err == nil {
		err = o.Queue.Wake(ctx)
	}
	if err != nil { // the target is gone all the same, and each of its deliveries finds that out when it is due
		o.Log.WarnContext(ctx, "deliveries of a removed target not given up yet", logging.Target, id, logging.Err, err)
	}
	return removed, nil
}

// Get reads a target.
func (o *Operations) Get(ctx context.Context, caller auth.Caller, id action.TargetID) (action.Target, error) {
	t, err := o.Store.Target(ctx, caller.Instance, id)
	return o.shown(t), err
}

// List gives a page and how many targets match in all.
func (o *Operations) List(ctx context.Context, caller auth.Caller, q action.TargetQuery) ([]action.Target, int, error) {
	page, total, err := o.Store.ListTargets(ctx, caller.Instance, q)
	for i, t := range page {
		page[i] = o.shown(t)
	}
	return page, total, err
}

// shown is a target as readers see it.
func (o *Operations) shown(t action.Target) action.Target {
	if o.HideSigningKeys {
		t.SigningKeys = nil
	}
	return t
}

// ensureKey makes the instance's first web key, where there is none, before there is a target whose payloads it signs.
func (o *Operations) ensureKey(ctx context.Context, instance action.InstanceID, p action.PayloadType) error {
	if p != action.PayloadJWT && p != action.PayloadJWE {
		return nil
	}
	_, err := o.Store.AddWebKey(ctx, instance, action.WebKeys.None)
	return err
}

// checkEndpoint refuses addresses that may not be called. A name that does not resolve is accepted, because the dial decides.
func (o *Operations) checkEndpoint(ctx context.Context, endpoint string, denied *errs.Error) error {
	u, err := action.ParseEndpoint(endpoint)
	if err != nil {
		return err
	}
	resolved, err := o.Egress.CheckHost(ctx, u.Hostname(), port(u))
	if err != nil {
		return denied.Because(err)
	}
	if !resolved {
		o.Log.WarnContext(ctx, "the host of a target does not resolve; its calls will fail until it does", "host", u.Hostname(), logging.Function, "targets")
	}
	return nil
}

func port(u *url.URL) uint16 {
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(n)
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}
