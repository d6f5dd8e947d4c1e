package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"

	"github.com/callout-dev/callout/shared/egress"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	"github.com/callout-dev/callout/shared/gen/zitadel/action/v2/actionv2connect"
	filterv2 "github.com/callout-dev/callout/shared/gen/zitadel/filter/v2"
)

const (
	targetPage = 1000
	maxTargets = 10 * targetPage
	// maxLookups is how many names are asked for at once.
	maxLookups = 8
	// maxNamed is how many targets a finding names.
	maxNamed = 5
)

// endpoints judges each target's by the policy, as it resolves on this machine.
func endpoints(ctx context.Context, p *Patient) Finding {
	if !p.known() {
		return skipped("CALLOUT_EGRESS_ALLOW and CALLOUT_EGRESS_DENY are not known here")
	}
	policy, err := p.Config.Policy()
	if err != nil {
		return failed("Mend the variable: every function refuses to start with it.", "%v", err)
	}
	if p.Resolver != nil {
		policy = policy.WithResolver(p.Resolver)
	}
	if u, err := url.Parse(p.API); err == nil {
		if own, err := netip.ParseAddrPort(u.Host); err == nil {
			policy = policy.WithOwn(own)
		}
	}
	if p.caller == nil {
		return skipped("the lists can be read; without a token that the API takes there are no targets to hold against them")
	}
	targets, err := p.targets(ctx)
	if isRefusal(err) {
		return skipped("the lists can be read; the caller may not list the targets to hold against them")
	}
	if err != nil {
		return p.failure(err)
	}
	verdicts := judgeAll(ctx, policy, targets)
	denied, unknown, all := verdicts.denied, verdicts.unknown, count(len(targets), "target")
	switch {
	case ctx.Err() != nil:
		return warning("Look at the resolver of this machine.", "there was no time to resolve the names of all of %s", all)
	case len(denied) > 0 && p.Local:
		return warning("Change their endpoints. If the server was started with another -egress-allow, set CALLOUT_EMULATOR_EGRESS_ALLOW to the same here.",
			"of %s, %d may not be called: %s", all, len(denied), some(denied))
	case len(denied) > 0:
		return failed("Change their endpoints, or open the addresses in CALLOUT_EGRESS_ALLOW.", "of %s, %d may not be called: %s", all, len(denied), some(denied))
	case len(unknown) > 0:
		return warning("Check the names: calls fail until they resolve where the functions run.",
			"of %s, %d have a name that does not resolve here: %s", all, len(unknown), some(unknown))
	}
	return fine("%s: all may be called, and their names resolve here", all)
}

// targets reads them from the API.
func (p *Patient) targets(ctx context.Context) ([]*actionv2.Target, error) {
	client := actionv2connect.NewActionServiceClient(p.caller, p.API, connect.WithReadMaxBytes(maxAnswer<<4))
	var all []*actionv2.Target
	for len(all) < maxTargets {
		page, err := client.ListTargets(ctx, &actionv2.ListTargetsRequest{
			Pagination: &filterv2.PaginationRequest{Offset: uint64(len(all)), Limit: targetPage, Asc: true}})
		if err != nil {
			return nil, err
		}
		all = append(all, page.GetTargets()...)
		if len(page.GetTargets()) == 0 || uint64(len(all)) >= page.GetPagination().GetTotalResult() {
			break
		}
	}
	return all, nil
}

// judgements are the targets that are not fine.
type judgements struct {
	sync.Mutex
	denied, unknown []string
}

func judgeAll(ctx context.Context, policy *egress.Policy, targets []*actionv2.Target) *judgements {
	var found judgements
	var group errgroup.Group
	group.SetLimit(maxLookups)
	for _, t := range targets {
		u, err := url.Parse(t.GetEndpoint())
		if err != nil {
			continue // the API has checked it
		}
		group.Go(func() error {
			resolved, err := policy.CheckHost(ctx, u.Hostname(), portOf(u))
			found.Lock()
			defer found.Unlock()
			switch {
			case err != nil:
				found.denied = append(found.denied, fmt.Sprintf("%s (%s)", oneLine(t.GetName()), strings.TrimPrefix(err.Error(), egress.ErrDenied.Error()+": ")))
			case !resolved:
				found.unknown = append(found.unknown, fmt.Sprintf("%s (%s)", oneLine(t.GetName()), u.Hostname()))
			}
			return nil
		})
	}
	_ = group.Wait() // none fails
	slices.Sort(found.denied)
	slices.Sort(found.unknown)
	return &found
}

func portOf(u *url.URL) uint16 {
	port := u.Port()
	if port == "" {
		port = u.Scheme
	}
	n, err := net.LookupPort("tcp", port) // http and https it knows by itself
	if err != nil {
		n, _ = strconv.Atoi(port)
	}
	return uint16(n)
}

// some names the first few.
func some(all []string) string {
	if len(all) > maxNamed {
		return strings.Join(all[:maxNamed], ", ") + fmt.Sprintf(" and %d more", len(all)-maxNamed)
	}
	return strings.Join(all, ", ")
}
