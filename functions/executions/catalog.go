package executions

import (
	"context"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
)

// ListCatalog gives all names and the hosts that have set some, or for a host that is not "" its own names and itself alone.
func (o *Operations) ListCatalog(ctx context.Context, caller auth.Caller, host action.HostName) (action.Names, []action.HostNames, error) {
	known, err := o.Catalogues.Of(ctx, caller.Instance)
	if err != nil {
		return action.Names{}, nil, err
	}
	if host == "" {
		return known.Names(), known.Hosts, nil
	}
	for _, h := range known.Hosts {
		if h.Host == host {
			return h.Names, []action.HostNames{h}, nil
		}
	}
	return action.Names{}, nil, errs.Newf(errs.NotFound, "the catalogue has no host %q", host)
}

// SetCatalog replaces a host's part and says when it was set: earlier, if it is the same already.
func (o *Operations) SetCatalog(ctx context.Context, caller auth.Caller, host action.HostName, part action.HostPart) (time.Time, error) {
	return o.Store.SetHost(ctx, caller.Instance, host, part)
}

// RemoveCatalog removes a host's part and says when: the zero time if it was not there. Executions that are set stay.
func (o *Operations) RemoveCatalog(ctx context.Context, caller auth.Caller, host action.HostName) (time.Time, error) {
	return o.Store.RemoveHost(ctx, caller.Instance, host)
}
