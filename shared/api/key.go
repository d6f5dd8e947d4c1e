package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
)

// Where receivers find keys.
const (
	PathKeySet    = "/oauth/v2/keys"
	PathDiscovery = "/.well-known/openid-configuration"
)

// Keys are the operations of function keys.
type Keys interface {
	// RotateKeys publishes the next key and gives all that are published then.
	RotateKeys(ctx context.Context, caller auth.Caller) (action.WebKeys, error)
	// KeySet is the JWKS of the host's instance. Age is how long receivers may keep it; 0 is not at all.
	KeySet(ctx context.Context, host string) (document []byte, age time.Duration, err error)
	// Discovery says where the keys are; origin is the scheme and the host of the request.
	Discovery(origin string) (document []byte, age time.Duration, err error)
}

// ServeKeys serves the KeyService over all protocols, and to anybody the keys to verify with.
func (b Border) ServeKeys(operations Keys) (http.Handler, error) {
	face := &keyFace{operations: operations}
	gateway := b.newGateway(true)
	if err := calloutv1.RegisterKeyServiceHandlerServer(context.Background(), gateway, face); err != nil {
		return nil, err
	}
	service := http.NewServeMux()
	path, procedures := calloutv1connect.NewKeyServiceHandler(face, b.connectOptions(MaxBody),
		connect.WithCodec(strictCodec{name: "json"}), connect.WithCodec(strictCodec{name: "json; charset=utf-8"}))
	service.Handle(path, onlyMethods(calloutv1.KeyService_ServiceDesc, procedures))
	service.Handle("/", bounded(MaxBody, gateway))
	mux := http.NewServeMux()
	mux.Handle("/", b.Authenticated(service))
	mux.Handle(PathKeySet, b.document(func(r *http.Request) ([]byte, time.Duration, error) { return operations.KeySet(r.Context(), r.Host) }))
	mux.Handle(PathDiscovery, b.document(func(r *http.Request) ([]byte, time.Duration, error) { return operations.Discovery(origin(r)) }))
	return mux, nil
}

// document serves JSON that anybody may read, and keep for a while.
func (b Border) document(make func(*http.Request) ([]byte, time.Duration, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			writeRoutingError(w, http.StatusMethodNotAllowed)
			return
		}
		text, age, err := make(r)
		if err != nil {
			logFault(r.Context(), b.Log, err)
			w.Header().Set("Cache-Control", "no-store")
			WriteError(w, err)
			return
		}
		control := "no-store"
		if age > 0 {
			control = "max-age=" + strconv.Itoa(int(age/time.Second)) + ", must-revalidate"
		}
		w.Header().Set("Cache-Control", control)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text) // who does not read on has gone
	})
}

// origin is how the caller reaches this server. What stands before it and ends TLS says so in a header.
func origin(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

type keyFace struct{ operations Keys }

func (f *keyFace) RotateKeys(ctx context.Context, _ *calloutv1.RotateKeysRequest) (*calloutv1.RotateKeysResponse, error) {
	caller, err := auth.Require(ctx, auth.TargetWrite)
	if err != nil {
		return nil, err
	}
	keys, err := f.operations.RotateKeys(ctx, caller)
	if err != nil {
		return nil, err
	}
	response := &calloutv1.RotateKeysResponse{}
	for _, k := range keys {
		shown := &calloutv1.WebKey{
			KeyId: string(k.ID), Algorithm: k.Algorithm, CreationDate: timestamppb.New(k.Created), SigningDate: timestamppb.New(k.Signs),
		}
		if !k.Ends.IsZero() {
			shown.ExpirationDate = timestamppb.New(k.Ends)
		}
		response.Keys = append(response.Keys, shown)
	}
	return response, nil
}
