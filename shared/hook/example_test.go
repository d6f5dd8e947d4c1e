package hook_test

import (
	"context"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/grpc"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/hook"
)

// What a host has of its own.
var (
	clientID, clientSecret string
	api                    http.Handler
	authenticate, validate func(http.Handler) http.Handler
	authenticateCall       grpc.UnaryServerInterceptor
	authenticateConnect    connect.Interceptor
	caller                 func(context.Context) hook.Caller
	setUserMetadata        hook.SetMetadata
)

// The document shows these lines. Nothing is run: the tests of the examples do that.
func Example() {
	ctx := context.Background()
	tokens := hook.ClientCredentials(ctx, "http://127.0.0.1:8082", clientID, clientSecret) // of a user with action.hook.invoke
	callout := hook.Remote("http://127.0.0.1:8080", tokens, nil)
	host := &hook.Host{Engine: callout, Caller: caller}

	http.Handle("/", authenticate(host.Handler(validate(api)))) // JSON bodies
	grpc.NewServer(grpc.ChainUnaryInterceptor(authenticateCall, host.UnaryServerInterceptor()))
	connect.WithInterceptors(authenticateConnect, host.UnaryInterceptor())

	callout.Publish(ctx, &calloutv1.Event{EventType: "order.created", AggregateId: "1"})
}

func ExampleHost_Function() {
	ctx, host := context.Background(), &hook.Host{}
	claims := map[string]any{"sub": "404"}

	answer, err := host.Function(ctx, "preaccesstoken", map[string]any{"user": map[string]any{"id": "404"}}) // while a token is made
	if err != nil {
		return // a target that interrupts: there is no token
	}
	claims = answer.Claims(ctx, claims, setUserMetadata)
	_ = claims
}
