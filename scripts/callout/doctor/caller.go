package doctor

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/oauth2"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/scripts/callout/access"
	"github.com/callout-dev/callout/shared/auth"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	"github.com/callout-dev/callout/shared/gen/zitadel/action/v2/actionv2connect"
	filterv2 "github.com/callout-dev/callout/shared/gen/zitadel/filter/v2"
)

// soon is when a token had better be replaced.
const soon = time.Minute

// token gets one, reads what it says of itself, and shows it to the API.
func token(ctx context.Context, p *Patient) Finding {
	if p.Tokens == nil {
		return Finding{Verdict: Skipped, Says: "nobody said who is calling", Next: "Give --client-id, --service-account or --token to check that the API takes a token."}
	}
	tokens, err := p.Tokens(ctx)
	var got *oauth2.Token
	if err == nil {
		got, err = tokens.Token()
	}
	if err != nil {
		return p.failure(err)
	}
	p.token = got.AccessToken
	claims, isJWT := access.ReadClaims(p.token)
	if isJWT {
		if wrong, found := p.judge(claims); found {
			return wrong
		}
	}
	if !p.reached {
		return skipped("there is one, and no API to show it to")
	}
	client := &http.Client{Transport: &oauth2.Transport{Source: oauth2.StaticTokenSource(got), Base: p.Network},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	// Any caller who is known may ask for these.
	_, err = actionv2connect.NewActionServiceClient(client, p.API, connect.WithReadMaxBytes(maxAnswer)).
		ListExecutionFunctions(ctx, &actionv2.ListExecutionFunctionsRequest{})
	switch {
	case connect.CodeOf(err) == connect.CodeUnauthenticated && !isJWT:
		return failed("Set CALLOUT_INTROSPECTION_CLIENT_ID and _SECRET for the functions, or let the issuer give JWTs.", "the API takes no token like this, which is no JWT")
	case connect.CodeOf(err) == connect.CodeUnauthenticated:
		return failed("Compare CALLOUT_ISSUER and CALLOUT_AUDIENCE of the functions with these; the functions' log says what they miss.",
			"the API does not take the token, whose issuer is %s and whose audience is %s", oneLine(claims.Issuer), oneLine(strings.Join(claims.Audience, " ")))
	case err != nil:
		return p.failure(err)
	}
	p.caller = client
	if isJWT && !claims.Expiry.IsZero() {
		left := time.Until(claims.Expiry).Round(time.Second)
		if left < soon {
			return warning("Take a new one, or let the issuer's tokens live longer: an hour is common.", "the API takes it, and it ends in %s", left)
		}
		return fine("the API takes it; it is good for %s", left)
	}
	return fine("the API takes it")
}

// judge finds what makes a token useless whoever looks at it.
func (p *Patient) judge(claims access.Claims) (Finding, bool) {
	switch {
	case !claims.Expiry.IsZero() && time.Until(claims.Expiry) <= 0:
		return failed("Take a new one, or let callout get it with --client-id or --service-account.", "it ended %s ago", time.Since(claims.Expiry).Round(time.Second)), true
	case p.Issuer != "" && claims.Issuer != p.Issuer:
		return failed("Give a token of that issuer, or its right name with --issuer.", "it is of %s, and not of %s", oneLine(claims.Issuer), p.Issuer), true
	case p.known() && p.Config.Audience != "" && !slices.Contains(claims.Audience, p.Config.Audience):
		return failed("Ask the issuer for the scope urn:zitadel:iam:org:project:id:zitadel:aud, or set CALLOUT_AUDIENCE to what it gives.",
			"it is for %s, and not for the API's audience %s", oneLine(strings.Join(claims.Audience, " ")), p.Config.Audience), true
	}
	return Finding{}, false
}

// probe is a call that needs a permission and changes nothing whoever makes it: those that would are malformed, which the API finds out after it
// has looked at the permission.
type probe struct {
	permission auth.Permission
	call       func(ctx context.Context) error
}

func (p *Patient) probes() []probe {
	options := connect.WithReadMaxBytes(maxAnswer << 4)
	actions := actionv2connect.NewActionServiceClient(p.caller, p.API, options)
	deliveries := calloutv1connect.NewDeliveryServiceClient(p.caller, p.API, options)
	catalog := calloutv1connect.NewCatalogServiceClient(p.caller, p.API, options)
	events := calloutv1connect.NewEventServiceClient(p.caller, p.API, options)
	hooks := calloutv1connect.NewHookServiceClient(p.caller, p.API, options)
	one := &filterv2.PaginationRequest{Limit: 1}
	return []probe{
		{auth.TargetRead, func(ctx context.Context) error {
			_, err := actions.ListTargets(ctx, &actionv2.ListTargetsRequest{Pagination: one})
			return err
		}},
		{auth.TargetWrite, func(ctx context.Context) error { // no id
			_, err := actions.UpdateTarget(ctx, &actionv2.UpdateTargetRequest{})
			return err
		}},
		{auth.TargetDelete, func(ctx context.Context) error { // no id
			_, err := actions.DeleteTarget(ctx, &actionv2.DeleteTargetRequest{})
			return err
		}},
		{auth.ExecutionRead, func(ctx context.Context) error {
			_, err := actions.ListExecutions(ctx, &actionv2.ListExecutionsRequest{Pagination: one})
			return err
		}},
		{auth.ExecutionWrite, func(ctx context.Context) error { // no condition
			_, err := actions.SetExecution(ctx, &actionv2.SetExecutionRequest{})
			return err
		}},
		{auth.HookInvoke, func(ctx context.Context) error { // no hook, and no time for it
			_, err := hooks.Invoke(ctx, &calloutv1.InvokeRequest{Timeout: durationpb.New(0)})
			return err
		}},
		{auth.EventPublish, func(ctx context.Context) error { // no events
			_, err := events.Publish(ctx, &calloutv1.PublishRequest{})
			return err
		}},
		{auth.DeliveryRead, func(ctx context.Context) error {
			_, err := deliveries.SearchDeliveries(ctx, &calloutv1.SearchDeliveriesRequest{PageSize: 1})
			return err
		}},
		{auth.DeliveryWrite, func(ctx context.Context) error { // no such state
			_, err := deliveries.UpdateTargetDelivery(ctx, &calloutv1.UpdateTargetDeliveryRequest{State: new("?")})
			return err
		}},
		{auth.CatalogRead, func(ctx context.Context) error {
			_, err := catalog.ListCatalog(ctx, &calloutv1.ListCatalogRequest{Host: "callout-doctor"})
			return err
		}},
		{auth.CatalogWrite, func(ctx context.Context) error { // no host
			_, err := catalog.RemoveCatalog(ctx, &calloutv1.RemoveCatalogRequest{})
			return err
		}},
	}
}

// isRefusal says whether the caller lacks the permission, or has no role at all (AUTHZ-cdgFk).
func isRefusal(err error) bool {
	refused, ok := errors.AsType[*connect.Error](err)
	return ok && (refused.Code() == connect.CodePermissionDenied || strings.Contains(refused.Message(), "(AUTHZ-cdgFk)"))
}

// permissions says which of them the caller lacks.
func permissions(ctx context.Context, p *Patient) Finding {
	if p.caller == nil {
		return skipped("there is no token that the API takes")
	}
	all := p.probes()
	var missing []string
	for _, probe := range all {
		err := probe.call(ctx)
		refused, isAnswer := errors.AsType[*connect.Error](err)
		switch {
		case err == nil:
		case isRefusal(err):
			missing = append(missing, string(probe.permission))
		case isAnswer && connect.IsWireError(refused) && (refused.Code() == connect.CodeInvalidArgument || refused.Code() == connect.CodeNotFound):
		default:
			finding := p.failure(err)
			finding.Says = string(probe.permission) + ": " + finding.Says
			return finding
		}
	}
	const next = "Give the caller a role that has what it needs: IAM_OWNER has all, IAM_OWNER_VIEWER all that read, and CALLOUT_ROLES may say otherwise."
	switch {
	case len(missing) == len(all):
		return failed(next, "the caller has none")
	case len(missing) > 0:
		return warning(next, "the caller lacks %s", strings.Join(missing, ", "))
	}
	return fine("the caller has all %d", len(all))
}
