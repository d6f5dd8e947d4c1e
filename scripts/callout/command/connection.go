package command

import (
	"context"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/oauth2"

	"github.com/callout-dev/callout/scripts/callout/access"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
	"github.com/callout-dev/callout/shared/gen/zitadel/action/v2/actionv2connect"
)

const (
	callTimeout = 30 * time.Second
	// maxAnswer bounds an answer: a page of 1,000 of the largest targets has a good 3 MiB.
	maxAnswer = 16 << 20
	// maxIssuerAnswer bounds what the issuer says.
	maxIssuerAnswer = 1 << 20
)

// connection is the API with a token.
type connection struct {
	settings   access.Settings
	actions    actionv2connect.ActionServiceClient
	deliveries calloutv1connect.DeliveryServiceClient
	catalog    calloutv1connect.CatalogServiceClient
	keys       calloutv1connect.KeyServiceClient
	http       *http.Client
}

// connect gets a token first, so that its failure is told as such and not as that of a call.
func (a *app) connect(ctx context.Context) (*connection, error) {
	settings, tokens, err := a.tokens(ctx, false)
	if err != nil {
		return nil, err
	}
	if _, err := tokens.Token(); err != nil {
		return nil, err
	}
	transport := &oauth2.Transport{Source: tokens, Base: a.network}
	client := &http.Client{Transport: transport, CheckRedirect: noRedirect}
	options := connect.WithClientOptions(connect.WithReadMaxBytes(maxAnswer), connect.WithInterceptors(inTime()))
	return &connection{
		settings: settings, http: client,
		actions:    actionv2connect.NewActionServiceClient(client, settings.API, options),
		deliveries: calloutv1connect.NewDeliveryServiceClient(client, settings.API, options),
		catalog:    calloutv1connect.NewCatalogServiceClient(client, settings.API, options),
		keys:       calloutv1connect.NewKeyServiceClient(client, settings.API, options),
	}, nil
}

// tokens finds out who is calling and where they get their tokens.
func (a *app) tokens(ctx context.Context, withoutAPI bool) (access.Settings, oauth2.TokenSource, error) {
	settings, err := a.settle(withoutAPI)
	if err != nil {
		return settings, nil, err
	}
	a.api = settings.API
	tokens, err := settings.TokenSource(ctx, a.issuerClient())
	return settings, tokens, err
}

// issuerClient asks issuers.
func (a *app) issuerClient() *http.Client {
	return &http.Client{Transport: bounded{a.network}, CheckRedirect: noRedirect, Timeout: callTimeout}
}

// noRedirect keeps tokens and secrets where they were meant to go.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// inTime gives every call an end.
func inTime() connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
			ctx, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			return next(ctx, request)
		}
	}
}

// bounded cuts the issuer's answers: the libraries that read them do not.
type bounded struct{ next http.RoundTripper }

// RoundTrip does one exchange.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxIssuerAnswer)
	}
	return response, err
}
