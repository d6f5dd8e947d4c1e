package local_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	zitadelv1 "github.com/callout-dev/callout/shared/gen/zitadel/v1"
)

// outcome is what a caller learns, the same in every protocol.
type outcome struct {
	Code        codes.Code
	Message, ID string
}

// say adds headers to each request; Host among them is the host that it names.
type say struct {
	header map[string]string
	base   http.RoundTripper
}

func (s say) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range s.header {
		r.Header.Set(name, value)
	}
	r.Host = s.header["Host"]
	return s.base.RoundTrip(r)
}

// protocols calls one procedure in Connect with two encodings, gRPC-Web, gRPC by Connect and gRPC by its own library. Each call has the
// header, and gives the error with the metadata that came with it.
func protocols[Request, Response any](t *testing.T, i *installation, procedure string, request *Request) map[string]func(header map[string]string) (http.Header, error) {
	t.Helper()
	unencrypted := new(http.Protocols)
	unencrypted.SetUnencryptedHTTP2(true)
	h2 := &http.Transport{DialContext: i.net.dial, Protocols: unencrypted}
	t.Cleanup(h2.CloseIdleConnections)
	conn := i.grpcConn(t)
	all := map[string]func(map[string]string) (http.Header, error){
		"grpc-go": func(header map[string]string) (http.Header, error) {
			var trailer metadata.MD
			err := conn.Invoke(metadata.NewOutgoingContext(t.Context(), metadata.New(header)), procedure, request, new(Response), grpc.Trailer(&trailer))
			headers := http.Header{}
			for name, values := range trailer {
				headers[http.CanonicalHeaderKey(name)] = values
			}
			return headers, err
		},
	}
	for name, p := range map[string]struct {
		base   http.RoundTripper
		option connect.ClientOption
	}{
		"connect":      {i.client.Transport, connect.WithClientOptions()},
		"connect json": {i.client.Transport, connect.WithProtoJSON()},
		"grpc-web":     {i.client.Transport, connect.WithGRPCWeb()},
		"grpc":         {h2, connect.WithGRPC()},
	} {
		all[name] = func(header map[string]string) (http.Header, error) {
			client := connect.NewClient[Request, Response](&http.Client{Transport: say{header, p.base}}, i.Info.API+procedure, p.option)
			_, err := client.CallUnary(t.Context(), connect.NewRequest(request))
			if e, ok := errors.AsType[*connect.Error](err); ok {
				return e.Meta(), err
			}
			return nil, err
		}
	}
	return all
}

// learned reads an error of any of the clients.
func learned(err error) outcome {
	if err == nil {
		return outcome{}
	}
	if e, ok := errors.AsType[*connect.Error](err); ok {
		o := outcome{Code: codes.Code(e.Code()), Message: e.Message()}
		for _, d := range e.Details() {
			if value, err := d.Value(); err == nil {
				o.add(value)
			}
		}
		return o
	}
	s := status.Convert(err)
	o := outcome{Code: s.Code(), Message: s.Message()}
	for _, d := range s.Details() {
		o.add(d)
	}
	return o
}

func (o *outcome) add(detail any) {
	if d, ok := detail.(*zitadelv1.ErrorDetail); ok {
		o.ID = d.Id
	}
}

// byREST makes one call; an error's code must be that of its HTTP status.
func (i *installation) byREST(t *testing.T, method, path, body string, header map[string]string) (outcome, *http.Response) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, i.Info.API+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Transport: say{header, i.client.Transport}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode < 300 {
		return outcome{}, response
	}
	var e struct {
		Code    codes.Code
		Message string
		Details []struct{ ID string }
	}
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatalf("%d %s: %v", response.StatusCode, text, err)
	}
	want := map[codes.Code]int{codes.Unauthenticated: 401, codes.PermissionDenied: 403, codes.NotFound: 404, codes.ResourceExhausted: 429}[e.Code]
	if response.StatusCode != want {
		t.Errorf("REST: status %d with code %s", response.StatusCode, e.Code)
	}
	o := outcome{Code: e.Code, Message: e.Message}
	if len(e.Details) > 0 {
		o.ID = e.Details[0].ID
	}
	return o, response
}
