package local_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/emulator/local"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	"github.com/callout-dev/callout/shared/gen/zitadel/action/v2/actionv2connect"
	zitadelv1 "github.com/callout-dev/callout/shared/gen/zitadel/v1"
)

// token is an access token of one of the issuer's clients.
func (i *installation) token(t *testing.T, name string) string {
	t.Helper()
	token, err := i.as(t.Context(), name).Transport.(*oauth2.Transport).Source.Token()
	if err != nil {
		t.Fatal(err)
	}
	return token.AccessToken
}

// grpcConn is a gRPC connection to the API.
func (i *installation) grpcConn(t *testing.T) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///api", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return i.net.dial(ctx, "", apiAddress) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// h2c is an HTTP client that speaks HTTP/2 without TLS, as Connect's gRPC protocol needs it.
func (i *installation) h2c(t *testing.T, base http.RoundTripper) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{DialContext: i.net.dial, Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	source := base.(*oauth2.Transport).Source
	return &http.Client{Transport: &oauth2.Transport{Source: source, Base: transport}}
}

// inBubble runs a test of an installation in virtual time.
func inBubble(t *testing.T, change func(*local.Config), test func(*testing.T, *installation)) {
	t.Helper()
	if _, err := keys(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { test(t, start(t, change)) })
}

// One target, made by one client and read, changed and removed by the others.
func TestOneTargetManyClients(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		admin := i.as(t.Context(), "admin")
		rest := caller{i.Info.API, admin}
		conn := actionv2.NewActionServiceClient(i.grpcConn(t))
		withToken := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+i.token(t, "admin"))
		connectClient := actionv2connect.NewActionServiceClient(admin, i.Info.API)
		webClient := actionv2connect.NewActionServiceClient(admin, i.Info.API, connect.WithGRPCWeb())
		grpcClient := actionv2connect.NewActionServiceClient(i.h2c(t, admin.Transport), i.Info.API, connect.WithGRPC())
		jsonClient := actionv2connect.NewActionServiceClient(admin, i.Info.API, connect.WithProtoJSON())

		created, err := connectClient.CreateTarget(t.Context(), &actionv2.CreateTargetRequest{
			Name: "one", TargetType: &actionv2.CreateTargetRequest_RestCall{RestCall: &actionv2.RESTCall{InterruptOnError: true}},
			Timeout: durationpb.New(5 * time.Second), Endpoint: "https://192.0.2.1/hook",
		})
		if err != nil {
			t.Fatal(err)
		}
		want := &actionv2.Target{
			Id: created.Id, CreationDate: created.CreationDate, ChangeDate: created.CreationDate, Name: "one",
			TargetType: &actionv2.Target_RestCall{RestCall: &actionv2.RESTCall{InterruptOnError: true}},
			Timeout:    durationpb.New(5 * time.Second), Endpoint: "https://192.0.2.1/hook", SigningKey: created.SigningKey,
		}
		readers := map[string]func() (*actionv2.GetTargetResponse, error){
			"connect": func() (*actionv2.GetTargetResponse, error) {
				return connectClient.GetTarget(t.Context(), &actionv2.GetTargetRequest{Id: created.Id})
			},
			"connect json": func() (*actionv2.GetTargetResponse, error) {
				return jsonClient.GetTarget(t.Context(), &actionv2.GetTargetRequest{Id: created.Id})
			},
			"grpc-web": func() (*actionv2.GetTargetResponse, error) {
				return webClient.GetTarget(t.Context(), &actionv2.GetTargetRequest{Id: created.Id})
			},
			"grpc by connect": func() (*actionv2.GetTargetResponse, error) {
				return grpcClient.GetTarget(t.Context(), &actionv2.GetTargetRequest{Id: created.Id})
			},
			"grpc by grpc-go": func() (*actionv2.GetTargetResponse, error) {
				return conn.GetTarget(withToken, &actionv2.GetTargetRequest{Id: created.Id})
			},
		}
		for name, read := range readers {
			got, err := read()
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if diff := cmp.Diff(want, got.GetTarget(), protocmp.Transform()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		if got := rest.must(t, 200, "GET", "/v2/actions/targets/"+created.Id, nil)["target"].(map[string]any)["name"]; got != "one" {
			t.Errorf("rest: name %v", got)
		}
		name := "two"
		if _, err := conn.UpdateTarget(withToken, &actionv2.UpdateTargetRequest{Id: created.Id, Name: &name}); err != nil {
			t.Fatal(err)
		}
		list, err := webClient.ListTargets(t.Context(), &actionv2.ListTargetsRequest{})
		if err != nil || len(list.Targets) != 1 || list.Targets[0].Name != "two" || list.Pagination.TotalResult != 1 {
			t.Errorf("list: %v %v", list, err)
		}
		removed, err := grpcClient.DeleteTarget(t.Context(), &actionv2.DeleteTargetRequest{Id: created.Id})
		if err != nil || removed.DeletionDate == nil {
			t.Errorf("delete: %v %v", removed, err)
		}
		_, err = conn.GetTarget(withToken, &actionv2.GetTargetRequest{Id: created.Id})
		checkStatus(t, err, codes.NotFound, "Target not found (QUERY-hj5oaniyrz)", "QUERY-hj5oaniyrz")
	})
}

// Each client alone does all five: create, read, list, update, delete.
func TestEachClientDoesItAll(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		admin := i.as(t.Context(), "admin")
		clients := map[string]actionv2connect.ActionServiceClient{
			"connect":      actionv2connect.NewActionServiceClient(admin, i.Info.API),
			"connect json": actionv2connect.NewActionServiceClient(admin, i.Info.API, connect.WithProtoJSON()),
			"grpc-web":     actionv2connect.NewActionServiceClient(admin, i.Info.API, connect.WithGRPCWeb()),
			"grpc":         actionv2connect.NewActionServiceClient(i.h2c(t, admin.Transport), i.Info.API, connect.WithGRPC()),
		}
		for name, client := range clients {
			ctx := t.Context()
			created, err := client.CreateTarget(ctx, &actionv2.CreateTargetRequest{
				Name: name, TargetType: &actionv2.CreateTargetRequest_RestAsync{RestAsync: &actionv2.RESTAsync{}},
				Timeout: durationpb.New(time.Second), Endpoint: "https://192.0.2.1/",
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			renamed := name + " renamed"
			if _, err := client.UpdateTarget(ctx, &actionv2.UpdateTargetRequest{Id: created.Id, Name: &renamed}); err != nil {
				t.Errorf("%s: update: %v", name, err)
			}
			got, err := client.GetTarget(ctx, &actionv2.GetTargetRequest{Id: created.Id})
			if err != nil || got.Target.Name != renamed || got.Target.SigningKey != created.SigningKey {
				t.Errorf("%s: get: %v %v", name, got, err)
			}
			list, err := client.ListTargets(ctx, &actionv2.ListTargetsRequest{})
			if err != nil || len(list.Targets) != 1 || list.Targets[0].Id != created.Id {
				t.Errorf("%s: list: %v %v", name, list, err)
			}
			if removed, err := client.DeleteTarget(ctx, &actionv2.DeleteTargetRequest{Id: created.Id}); err != nil || removed.DeletionDate == nil {
				t.Errorf("%s: delete: %v %v", name, removed, err)
			}
			if _, err := client.GetTarget(ctx, &actionv2.GetTargetRequest{Id: created.Id}); connect.CodeOf(err) != connect.CodeNotFound {
				t.Errorf("%s: get after delete: %v", name, err)
			}
		}
	})
}

// checkStatus checks a gRPC error: code, message, and the id in its one detail.
func checkStatus(t *testing.T, err error, code codes.Code, message, id string) {
	t.Helper()
	s := status.Convert(err)
	if s.Code() != code || s.Message() != message {
		t.Errorf("got %s %q, want %s %q", s.Code(), s.Message(), code, message)
	}
	if id == "" {
		if len(s.Details()) != 0 {
			t.Errorf("details %v, want none", s.Details())
		}
		return
	}
	if len(s.Details()) != 1 {
		t.Fatalf("details %v, want one", s.Details())
	}
	detail, ok := s.Details()[0].(*zitadelv1.ErrorDetail)
	if !ok || detail.Id != id || detail.Message+" ("+id+")" != message {
		t.Errorf("detail %v", s.Details()[0])
	}
}

func TestErrorsOverGRPC(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		conn := i.grpcConn(t)
		client := actionv2.NewActionServiceClient(conn)
		as := func(name string) context.Context {
			return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+i.token(t, name))
		}
		good := func() *actionv2.CreateTargetRequest {
			return &actionv2.CreateTargetRequest{
				Name: "one", TargetType: &actionv2.CreateTargetRequest_RestAsync{RestAsync: &actionv2.RESTAsync{}},
				Timeout: durationpb.New(time.Second), Endpoint: "https://192.0.2.1/",
			}
		}
		create := func(ctx context.Context, change func(*actionv2.CreateTargetRequest)) error {
			r := good()
			change(r)
			_, err := client.CreateTarget(ctx, r)
			return err
		}
		same := func(*actionv2.CreateTargetRequest) {}
		checkStatus(t, create(t.Context(), same), codes.Unauthenticated, "auth header missing", "")
		checkStatus(t, create(as("viewer"), same), codes.PermissionDenied, "No matching permissions found (AUTH-AWfge)", "AUTH-AWfge")
		checkStatus(t, create(as("nobody"), same), codes.NotFound, "membership not found (AUTHZ-cdgFk)", "AUTHZ-cdgFk")
		checkStatus(t, create(as("admin"), func(r *actionv2.CreateTargetRequest) { r.Timeout = nil }),
			codes.InvalidArgument, "Target has no timeout (COMMAND-39f35d8uri)", "COMMAND-39f35d8uri")
		checkStatus(t, create(as("admin"), func(r *actionv2.CreateTargetRequest) { r.Endpoint = "http://localhost.example:/\x7f" }),
			codes.InvalidArgument, "Target has an invalid URL (COMMAND-1r2k6qo6wg)", "COMMAND-1r2k6qo6wg")
		checkStatus(t, create(as("admin"), func(r *actionv2.CreateTargetRequest) { r.Name = strings.Repeat("é", 1001) }),
			codes.InvalidArgument, "invalid CreateTargetRequest.Name: value length must be between 1 and 1000 runes, inclusive", "")
		err := create(as("admin"), func(r *actionv2.CreateTargetRequest) { r.Endpoint = strings.Repeat("x", 2<<20) })
		if status.Code(err) != codes.ResourceExhausted {
			t.Errorf("2 MiB: %v", err)
		}
		if err := conn.Invoke(as("admin"), "/zitadel.action.v2.ActionService/Nothing", good(), good()); status.Code(err) != codes.Unimplemented {
			t.Errorf("unknown method: %v", err)
		}
		list, err := client.ListTargets(as("viewer"), &actionv2.ListTargetsRequest{})
		if err != nil || list.Pagination.TotalResult != 0 {
			t.Errorf("something was created: %v %v", list, err)
		}
	})
}

// Every path that wants a permission refuses who lacks it, in the order 401, 404, 403, whatever the body.
func TestPermissionsOnEveryPath(t *testing.T) {
	type path struct {
		method, path string
		viewer       int // status for somebody who may read
	}
	const service, beta, deliveries = "/zitadel.action.v2.ActionService/", "/zitadel.action.v2beta.ActionService/", "/callout.v1.DeliveryService/"
	paths := []path{
		{"POST", "/v2/actions/targets", 403}, {"POST", "/v2/actions/targets/x", 403}, {"DELETE", "/v2/actions/targets/x", 403},
		{"GET", "/v2/actions/targets/x", 404}, {"POST", "/v2/actions/targets/search", 200},
		{"PUT", "/v2/actions/executions", 403}, {"POST", "/v2/actions/executions/search", 200},
		{"POST", service + "CreateTarget", 403}, {"POST", service + "UpdateTarget", 403}, {"POST", service + "DeleteTarget", 403},
		{"POST", service + "GetTarget", 400}, {"POST", service + "ListTargets", 200},
		{"POST", service + "SetExecution", 403}, {"POST", service + "ListExecutions", 200},
		{"POST", "/v2/actions/targets/x/publickeys", 403}, {"POST", "/v2/actions/targets/x/publickeys/y/activate", 403},
		{"PUT", "/v2/actions/targets/x/publickeys/y/activate", 403}, {"POST", "/v2/actions/targets/x/publickeys/y/deactivate", 403},
		{"DELETE", "/v2/actions/targets/x/publickeys/y", 403}, {"POST", "/v2/actions/targets/x/publickeys/search", 200},
		{"POST", service + "AddPublicKey", 403}, {"POST", service + "ActivatePublicKey", 403}, {"POST", service + "DeactivatePublicKey", 403},
		{"POST", service + "RemovePublicKey", 403}, {"POST", service + "ListPublicKeys", 400},
		{"POST", "/v2beta/actions/targets", 403}, {"POST", "/v2beta/actions/targets/x", 403}, {"DELETE", "/v2beta/actions/targets/x", 403},
		{"GET", "/v2beta/actions/targets/x", 404}, {"POST", "/v2beta/actions/targets/search", 200},
		{"PUT", "/v2beta/actions/executions", 403}, {"POST", "/v2beta/actions/executions/search", 200},
		{"POST", beta + "CreateTarget", 403}, {"POST", beta + "UpdateTarget", 403}, {"POST", beta + "DeleteTarget", 403},
		{"POST", beta + "GetTarget", 400}, {"POST", beta + "ListTargets", 200},
		{"POST", beta + "SetExecution", 403}, {"POST", beta + "ListExecutions", 200},
		{"POST", "/v1/events", 403}, {"POST", "/callout.v1.EventService/Publish", 403},
		{"POST", "/v1/deliveries/search", 200}, {"GET", "/v1/deliveries/x", 404}, {"POST", "/v1/deliveries/x:redeliver", 403},
		{"POST", "/v1/deliveries:redeliver", 403}, {"GET", "/v1/events/x:explain", 404}, {"DELETE", "/v1/events/x", 403},
		{"POST", "/v1/targets/x:test", 403}, {"POST", "/v1/targets/x:pause", 403}, {"POST", "/v1/targets/x:resume", 403},
		{"GET", "/v1/targets/x/delivery", 404}, {"PATCH", "/v1/targets/x/delivery", 403},
		{"POST", deliveries + "SearchDeliveries", 200}, {"POST", deliveries + "GetDelivery", 404}, {"POST", deliveries + "RedeliverDelivery", 403},
		{"POST", deliveries + "RedeliverDeliveries", 403}, {"POST", deliveries + "ExplainEvent", 400}, {"POST", deliveries + "DeleteEvent", 403},
		{"POST", deliveries + "TestTarget", 403}, {"POST", deliveries + "PauseTarget", 403}, {"POST", deliveries + "ResumeTarget", 403},
		{"POST", deliveries + "GetTargetDelivery", 404}, {"POST", deliveries + "UpdateTargetDelivery", 403},
	}
	inBubble(t, nil, func(t *testing.T, i *installation) {
		anonymous, nobody, viewer := caller{i.Info.API, i.client}, caller{i.Info.API, i.as(t.Context(), "nobody")}, caller{i.Info.API, i.as(t.Context(), "viewer")}
		for _, p := range paths {
			body := map[string]any{"events": []any{map[string]any{"event_type": "a.b"}}}
			if strings.HasPrefix(p.path, "/v1/") && p.path != "/v1/events" || strings.HasPrefix(p.path, deliveries) {
				body = map[string]any{} // these know what they do not know
			}
			if p.method == "GET" || p.method == "DELETE" {
				body = nil
			}
			send := func(c caller) (int, string) {
				var b any
				if body != nil {
					b = body
				}
				status, answer := c.call(t, p.method, p.path, "application/json", b)
				message, _ := answer["message"].(string)
				return status, message
			}
			if status, message := send(anonymous); status != 401 || message != "auth header missing" {
				t.Errorf("%s %s without a token: %d %q", p.method, p.path, status, message)
			}
			if status, message := send(nobody); status != 404 || message != "membership not found (AUTHZ-cdgFk)" {
				t.Errorf("%s %s as nobody: %d %q", p.method, p.path, status, message)
			}
			if status, message := send(viewer); status != p.viewer || (status == 403 && message != "No matching permissions found (AUTH-AWfge)") {
				t.Errorf("%s %s as viewer: %d %q, want %d", p.method, p.path, status, message, p.viewer)
			}
		}
	})
}

// A number in a payload keeps every digit over every way in.
func TestPayloadsKeepEveryDigit(t *testing.T) {
	const payload = `{"n":12345678901234567890123,"f":1.10,"s":"<é&>","list":[null,true]}`
	inBubble(t, nil, func(t *testing.T, i *installation) {
		admin := i.as(t.Context(), "admin")
		api := caller{i.Info.API, admin}
		l, err := i.net.listen(receiverAddress)
		if err != nil {
			t.Fatal(err)
		}
		r := receive(t, l, nil)
		_, key := api.route(t, "http://"+receiverAddress+"/", map[string]any{"event": map[string]any{"event": "order.created"}})
		ways := []struct{ path, contentType, body string }{
			{"/v1/events", "application/json", `{"event_type":"order.created","event_payload":` + payload + `}`},
			{"/v1/events", "application/json", `{"events":[{"event_type":"order.created","event_payload":` + payload + `}]}`},
			{"/v1/events", "application/cloudevents+json", `{"specversion":"1.0","id":"1","source":"s","type":"order.created","data":` + payload + `}`},
			{"/callout.v1.EventService/Publish", "application/json", `{"event_type":"order.created","event_payload":` + payload + `}`},
		}
		for _, w := range ways {
			response, err := admin.Post(i.Info.API+w.path, w.contentType, strings.NewReader(w.body))
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			got := <-r.all
			if err := got.verify(key); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(exact(t, []byte(payload)), exact(t, got.event(t).Payload)); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", w.path, w.contentType, diff)
			}
		}
		client := calloutv1connect.NewEventServiceClient(admin, i.Info.API)
		published, err := client.Publish(t.Context(), &calloutv1.PublishRequest{Events: []*calloutv1.Event{{EventType: "order.created", EventPayloadJson: payload}}})
		if err != nil {
			t.Fatal(err)
		}
		got := <-r.all
		if diff := cmp.Diff(exact(t, []byte(payload)), exact(t, got.event(t).Payload)); diff != "" || got.Header.Get("webhook-id") != published.Ids[0] {
			t.Errorf("binary: id %s, want %s (-want +got):\n%s", got.Header.Get("webhook-id"), published.Ids[0], diff)
		}
	})
}
