package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
)

// Installation is a Callout that runs elsewhere: an Engine, and where events are published.
type Installation struct {
	hooks  calloutv1connect.HookServiceClient
	events calloutv1connect.EventServiceClient
}

// Remote reaches an installation. URL is where its API is; tokens must come from its issuer, and their user needs the permission
// action.hook.invoke, and action.event.publish to publish. Client makes the connections; nil means http.DefaultClient.
func Remote(url string, tokens oauth2.TokenSource, client *http.Client) *Installation {
	if client == nil {
		client = http.DefaultClient
	}
	authorized := &http.Client{
		Transport: &oauth2.Transport{Source: oauth2.ReuseTokenSource(nil, tokens), Base: client.Transport}, Timeout: client.Timeout,
	}
	url = strings.TrimSuffix(url, "/")
	return &Installation{
		hooks:  calloutv1connect.NewHookServiceClient(authorized, url),
		events: calloutv1connect.NewEventServiceClient(authorized, url),
	}
}

// Invoke implements Engine.
func (i *Installation) Invoke(ctx context.Context, r *calloutv1.InvokeRequest) (*calloutv1.InvokeResponse, error) {
	return i.hooks.Invoke(ctx, r)
}

// Publish publishes 1 to 1000 events and returns their ids when the queue has all of them. An event that is sent again with its id, within
// seven days, is delivered once. The error is a *connect.Error.
func (i *Installation) Publish(ctx context.Context, events ...*calloutv1.Event) ([]string, error) {
	answer, err := i.events.Publish(ctx, &calloutv1.PublishRequest{Events: events})
	return answer.GetIds(), err
}

// scopes are those that an installation's tokens need.
func scopes() []string { return []string{"openid", "urn:zitadel:iam:org:project:id:zitadel:aud"} }

// ClientCredentials gets tokens of an issuer for a client and its secret. The context gives the http client, as package oauth2 has it.
func ClientCredentials(ctx context.Context, issuer, id, secret string) oauth2.TokenSource {
	config := clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: tokenURL(issuer), Scopes: scopes()}
	return config.TokenSource(ctx)
}

// ServiceAccount gets tokens of an issuer for a service account's key file: {"type":"serviceaccount","keyId","key","userId"}.
func ServiceAccount(ctx context.Context, issuer string, keyFile []byte) (oauth2.TokenSource, error) {
	var file struct {
		Type   string `json:"type"`
		KeyID  string `json:"keyId"`
		Key    string `json:"key"`
		UserID string `json:"userId"`
	}
	if err := json.Unmarshal(keyFile, &file); err != nil {
		return nil, errors.New("the key file is not JSON")
	}
	if file.Type != "serviceaccount" || file.Key == "" || file.KeyID == "" || file.UserID == "" {
		return nil, fmt.Errorf("the key file is not one of a service account: it needs type serviceaccount, keyId, key and userId")
	}
	config := jwt.Config{
		Email: file.UserID, Subject: file.UserID, PrivateKey: []byte(file.Key), PrivateKeyID: file.KeyID,
		TokenURL: tokenURL(issuer), Audience: strings.TrimSuffix(issuer, "/"), Scopes: scopes(),
	}
	return config.TokenSource(ctx), nil
}

func tokenURL(issuer string) string { return strings.TrimSuffix(issuer, "/") + "/oauth/v2/token" }

var _ Engine = (*Installation)(nil)
