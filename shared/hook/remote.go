package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
)

// Installation is a Callout that runs elsewhere: an Engine, and where events are published.
type Installation struct {
	hooks  *wire
	events calloutv1connect.EventServiceClient
	repeat bool
}

// Option changes how an installation is asked.
type Option func(*Installation)

// repeatAfter is how long a hook waits before it is asked again: at once, the second request could go to the process that has just ended.
const repeatAfter = 50 * time.Millisecond

// RepeatOnce asks a second time, within the same deadline, where no answer came or one that says unavailable: the process that was asked has
// ended, or is not there yet. What a target decided is never asked again. The targets of a hook may then be called twice for one call of the
// host's: choose it where they can stand that.
func RepeatOnce() Option { return func(i *Installation) { i.repeat = true } }

// Remote reaches an installation. URL is where its API is; tokens must come from its issuer, and their user needs the permission
// action.hook.invoke, and action.event.publish to publish. Client makes the connections; nil means http.DefaultClient. Without options, each
// hook is asked once.
func Remote(url string, tokens oauth2.TokenSource, client *http.Client, options ...Option) *Installation {
	if client == nil {
		client = http.DefaultClient
	}
	authorized := &http.Client{
		Transport: &oauth2.Transport{Source: oauth2.ReuseTokenSource(nil, tokens), Base: client.Transport}, Timeout: client.Timeout,
	}
	url = strings.TrimSuffix(url, "/")
	i := &Installation{
		hooks:  &wire{client, oauth2.ReuseTokenSource(nil, tokens), url},
		events: calloutv1connect.NewEventServiceClient(authorized, url),
	}
	for _, o := range options {
		o(i)
	}
	return i
}

// Invoke implements Engine.
func (i *Installation) Invoke(ctx context.Context, r *calloutv1.InvokeRequest) (*calloutv1.InvokeResponse, error) {
	answer, err := i.hooks.invoke(ctx, r)
	if !i.repeat || !unanswered(err) {
		return answer, err
	}
	timer := time.NewTimer(repeatAfter)
	defer timer.Stop()
	select {
	case <-timer.C:
		return i.hooks.invoke(ctx, r)
	case <-ctx.Done():
		return answer, err
	}
}

// unanswered says whether an error is that of a connection, or of what stands before the installation. One that broke in the middle of an
// answer is unknown to Connect.
func unanswered(err error) bool {
	_, broken := errors.AsType[*net.OpError](err)
	return broken || errors.Is(err, io.ErrUnexpectedEOF) || connect.CodeOf(err) == connect.CodeUnavailable && !ofTarget(err)
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
