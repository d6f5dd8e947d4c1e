package setup

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"golang.org/x/oauth2"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	"github.com/callout-dev/callout/shared/gen/zitadel/action/v2/actionv2connect"
	"github.com/callout-dev/callout/shared/signature"
)

// Target is one of an installation.
type Target struct {
	ID string
	// Key signs the calls.
	Key string
}

// Target gives the target of a name: the one that an earlier run has made, with its endpoint as it is now, or a new one.
func (i *Installation) Target(ctx context.Context, want *actionv2.CreateTargetRequest) (Target, error) {
	actions := i.actions(ctx)
	found, err := actions.ListTargets(ctx, &actionv2.ListTargetsRequest{Filters: []*actionv2.TargetSearchFilter{{
		Filter: &actionv2.TargetSearchFilter_TargetNameFilter{TargetNameFilter: &actionv2.TargetNameFilter{TargetName: want.GetName()}},
	}}})
	if err != nil {
		return Target{}, err
	}
	if len(found.GetTargets()) == 0 {
		created, err := actions.CreateTarget(ctx, want)
		return Target{ID: created.GetId(), Key: created.GetSigningKey()}, err
	}
	old := found.GetTargets()[0]
	if old.GetSigningKey() == "" {
		return Target{}, fmt.Errorf("target %s is there, and this installation does not tell its signing key: delete it", want.GetName())
	}
	_, err = actions.UpdateTarget(ctx, &actionv2.UpdateTargetRequest{Id: old.GetId(), Endpoint: &want.Endpoint})
	return Target{ID: old.GetId(), Key: old.GetSigningKey()}, err
}

// On has a target called on these conditions, after those that are called already.
func (i *Installation) On(ctx context.Context, target string, conditions ...*actionv2.Condition) error {
	actions := i.actions(ctx)
	for _, c := range conditions {
		this := &actionv2.InConditionsFilter{Conditions: []*actionv2.Condition{c}}
		found, err := actions.ListExecutions(ctx, &actionv2.ListExecutionsRequest{Filters: []*actionv2.ExecutionSearchFilter{{
			Filter: &actionv2.ExecutionSearchFilter_InConditionsFilter{InConditionsFilter: this},
		}}})
		if err != nil {
			return err
		}
		var targets []string
		if len(found.GetExecutions()) > 0 {
			targets = found.GetExecutions()[0].GetTargets()
		}
		if slices.Contains(targets, target) {
			continue
		}
		if _, err := actions.SetExecution(ctx, &actionv2.SetExecutionRequest{Condition: c, Targets: append(targets, target)}); err != nil {
			return err
		}
	}
	return nil
}

// Events adds a host's events to the catalogue, in the place of those that it has there.
func (i *Installation) Events(ctx context.Context, host string, events ...string) error {
	catalog := calloutv1connect.NewCatalogServiceClient(i.authorized(ctx), i.API)
	_, err := catalog.SetCatalog(ctx, &calloutv1.SetCatalogRequest{Host: host, Events: events})
	return err
}

func (i *Installation) actions(ctx context.Context) actionv2connect.ActionServiceClient {
	return actionv2connect.NewActionServiceClient(i.authorized(ctx), i.API)
}

func (i *Installation) authorized(ctx context.Context) *http.Client {
	return oauth2.NewClient(context.WithValue(ctx, oauth2.HTTPClient, i.Client), i.Tokens)
}

// Request is before a method, named as /package.Service/Method, is handled.
func Request(method string) *actionv2.Condition {
	return &actionv2.Condition{ConditionType: &actionv2.Condition_Request{
		Request: &actionv2.RequestExecution{Condition: &actionv2.RequestExecution_Method{Method: method}},
	}}
}

// Event is after an event of this type.
func Event(name string) *actionv2.Condition {
	return &actionv2.Condition{ConditionType: &actionv2.Condition_Event{
		Event: &actionv2.EventExecution{Condition: &actionv2.EventExecution_Event{Event: name}},
	}}
}

// Function is inside a function, such as preaccesstoken.
func Function(name string) *actionv2.Condition {
	return &actionv2.Condition{ConditionType: &actionv2.Condition_Function{Function: &actionv2.FunctionExecution{Name: name}}}
}

// maxBody is how large a call may be, in bytes.
const maxBody = 2 << 20

// Verified is how a target begins: it takes the calls that were signed with its key, and answers 401 to all others.
func Verified(key string, take func(w http.ResponseWriter, r *http.Request, body []byte)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err == nil {
			err = signature.Verify(r.Header, []string{key}, time.Now(), 0, body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		take(w, r, body)
	})
}
