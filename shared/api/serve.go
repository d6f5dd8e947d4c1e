package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path"
	"strings"

	"connectrpc.com/connect"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
)

// MaxBody is how large a request may be.
const MaxBody = 1 << 20

// compressFrom is how many bytes an answer must have to be compressed: for less, it costs more than it saves.
const compressFrom = 4 << 10

// Guard says who is calling; host is the request's and picks the instance.
type Guard interface {
	Authenticate(ctx context.Context, authorization, host string) (auth.Caller, error)
}

// Border is what all faces share: who is let in, and where faults are logged.
type Border struct {
	Guard Guard
	Log   *slog.Logger
	// Limit holds each caller to a number of calls; nil holds nobody.
	Limit *auth.Limiter
}

// Authenticated lets a request in when its bearer token is good and its caller within the limit, and puts the caller into its context; else it answers in the shape of
// the request's protocol.
func (b Border) Authenticated(next http.Handler) http.Handler {
	writer := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := b.Guard.Authenticate(r.Context(), r.Header.Get("Authorization"), r.Host)
		if err == nil {
			err = b.Limit.Take(caller)
		}
		switch {
		case err == nil:
			w.Header().Set("Cache-Control", "no-store")
			next.ServeHTTP(w, r.WithContext(auth.WithCaller(r.Context(), caller)))
		case isREST(r):
			logFault(r.Context(), b.Log, err)
			WriteError(w, err)
		default:
			logFault(r.Context(), b.Log, err)
			_ = writer.Write(w, r, toConnect(err))
		}
	})
}

// isREST tells paths of the gateway and of plain HTTP from procedures, whose first segment is a service with dots in its name.
func isREST(r *http.Request) bool {
	first, _, _ := bytes.Cut([]byte(r.URL.Path[min(1, len(r.URL.Path)):]), []byte("/"))
	return !bytes.ContainsRune(first, '.')
}

// connectOptions bounds requests and maps errors, for Connect, gRPC and gRPC-Web.
func (b Border) connectOptions(maxBody int) connect.HandlerOption {
	errorsOut := connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
			response, err := next(ctx, request)
			if err != nil {
				logFault(ctx, b.Log, err)
				return nil, toConnect(err)
			}
			return response, nil
		}
	})
	return connect.WithHandlerOptions(connect.WithReadMaxBytes(maxBody), connect.WithCompressMinBytes(compressFrom), connect.WithInterceptors(errorsOut))
}

// newGateway makes the REST face: protojson as in actions-v2.md section 1.2, errors as in 3.2. A strict one refuses unknown fields, as
// Callout's own services do, and takes slashes that are percent-encoded in a path.
func (b Border) newGateway(strict bool) *runtime.ServeMux {
	unescaping := runtime.UnescapingModeLegacy
	if strict {
		unescaping = runtime.UnescapingModeAllCharacters
	}
	return runtime.NewServeMux(
		runtime.WithDisablePathLengthFallback(), // no method in a header or a form: proxies filter by the real one
		runtime.WithUnescapingMode(unescaping),
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{
			UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: !strict},
		}),
		runtime.WithErrorHandler(func(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
			logFault(ctx, b.Log, err)
			WriteError(w, err)
		}),
		runtime.WithRoutingErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, code int) {
			writeRoutingError(w, code)
		}),
	)
}

// writeRoutingError answers for a path or a method that is not served.
func writeRoutingError(w http.ResponseWriter, code int) {
	if code == http.StatusMethodNotAllowed {
		writeStatus(w, code, status.New(codes.Unimplemented, "Method Not Allowed"))
		return
	}
	writeStatus(w, http.StatusNotFound, status.New(codes.NotFound, "Not Found"))
}

// onlyMethods answers for methods that the service does not have, in the shape of the request's protocol: 404 over HTTP, and
// Unimplemented over gRPC, as its clients expect.
func onlyMethods(service grpc.ServiceDesc, next http.Handler) http.Handler {
	known := map[string]bool{}
	for _, m := range service.Methods {
		known["/"+service.ServiceName+"/"+m.MethodName] = true
	}
	writer := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if known[r.URL.Path] {
			next.ServeHTTP(w, r)
			return
		}
		code := connect.CodeNotFound
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			code = connect.CodeUnimplemented
		}
		_ = writer.Write(w, r, connect.NewError(code, fmt.Errorf("%s has no method %s", service.ServiceName, path.Base(r.URL.Path))))
	})
}

// ReadBody reads the whole body of a REST call; TooLarge if it is over the limit.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, errs.Newf(errs.TooLarge, "the body is larger than %d bytes", limit)
	}
	if err != nil {
		return nil, errs.Newf(errs.InvalidArgument, "the body could not be read").Because(err)
	}
	return body, nil
}

// bounded gives the gateway bodies that fit.
func bounded(limit int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := ReadBody(w, r, limit)
		if err != nil {
			WriteError(w, err)
			return
		}
		if len(bytes.TrimSpace(body)) > 0 && !json.Valid(body) { // the gateway reads one value and takes no notice of what follows
			WriteError(w, errs.Newf(errs.InvalidArgument, "the body is not JSON"))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}
