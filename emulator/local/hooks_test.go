package local_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/callout-dev/callout/emulator/local"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/signature/envelope"
)

const hookService = "callout.v1.HookService"

// hookFaces are the service's protocols.
func (i *installation) hookFaces(t *testing.T) []face {
	return append([]face{{"REST", "v1", func(t *testing.T, h header, _, request string) said {
		response, answer := i.post(t, http.MethodPost, "/v1/hooks:invoke", h, "application/json", []byte(request))
		return saidByREST(t, response, answer)
	}}}, i.procedures(t, hookService, "v1")...)
}

const addUser = "/zitadel.user.v2.UserService/AddHumanUser"

// answering answers at a target's address, and keeps what it was sent.
type answering struct {
	mu     sync.Mutex
	status int
	answer string
	bodies []string
	header http.Header
}

func (a *answering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	a.bodies, a.header = append(a.bodies, string(body)), r.Header
	status, answer := a.status, a.answer
	a.mu.Unlock()
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer)
}

// say sets the answer, and forgets what was sent.
func (a *answering) say(status int, answer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status, a.answer, a.bodies = status, answer, nil
}

// got are the bodies that were sent since, and the last header.
func (a *answering) got() ([]string, http.Header) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.bodies), a.header
}

// hooked is an installation with one target, that all requests, responses and a function call.
func hooked(t *testing.T, i *installation, kind string) *answering {
	t.Helper()
	a := &answering{status: http.StatusOK}
	l, err := i.net.listen(receiverAddress)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: a}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	api := caller{i.Info.API, i.as(t.Context(), "admin")}
	target := api.must(t, 200, "POST", "/v2/actions/targets", map[string]any{
		"name": "hooked", kind: map[string]any{"interruptOnError": true}, "timeout": "5s", "endpoint": "http://" + receiverAddress + "/hook",
	})
	for _, condition := range []map[string]any{
		{"request": map[string]any{"method": addUser}}, {"response": map[string]any{"all": true}}, {"function": map[string]any{"name": "preaccesstoken"}},
	} {
		api.must(t, 200, "PUT", "/v2/actions/executions", map[string]any{"condition": condition, "targets": []any{target["id"]}})
	}
	return a
}

// TestHooksOverEveryFace: the same calls and answers, whatever the protocol.
func TestHooksOverEveryFace(t *testing.T) {
	const asked = `{"request":{"fullMethod":"` + addUser + `","orgID":"o","userID":"u","headers":{"X-Forwarded-For":["203.0.113.7"],"Cookie":["c"]},"request":{"username":"kim"}}}`
	const received = `{"fullMethod":"` + addUser + `","instanceID":"default","orgID":"o","userID":"u","request":{"username":"kim"},"headers":{"X-Forwarded-For":["203.0.113.7"]}}`
	tests := []struct {
		name, request, answer string
		status                int
		sent                  string // "" if the target is not called
		code                  codes.Code
		field, want           string // of the answer, or else of the refusal
	}{
		{"a request that is let pass", asked, ``, 200, received, 0, "request", `{"username":"kim"}`},
		{"a request that is changed", asked, `{"username":"lee"}`, 200, received, 0, "request", `{"username":"lee"}`},
		{"the execution", asked, ``, 200, received, 0, "execution", `"request/zitadel.user.v2.UserService/AddHumanUser"`},
		{"a request that is rejected", asked, `{"forwardedStatusCode":403,"forwardedErrorMessage":"not allowed"}`, 200, received, codes.PermissionDenied, "message", `"not allowed (EXEC-reUaUZCzCp)"`},
		{"a target that fails", asked, ``, 500, received, codes.FailedPrecondition, "message", `"Execution failed (EXEC-dra6yamk98)"`},
		{"a response that is changed", `{"response":{"fullMethod":"/a.A/M","request":{"a":1},"response":{"b":2}}}`, `{"b":3}`, 200, `{"fullMethod":"/a.A/M","instanceID":"default","request":{"a":1},"response":{"b":2}}`, 0, "response", `{"b":3}`},
		{"a function", `{"function":{"name":"preaccesstoken","payload":{"org":{"id":"o"}}}}`, `{"append_log_claims":["x"]}`, 200, `{"function":"function/preaccesstoken","org":{"id":"o"},"response":{}}`, 0, "function", `{"append_log_claims":["x"]}`},
		{"nothing matches", `{"request":{"fullMethod":"/a.A/M","request":{"a":1}}}`, `{"b":3}`, 200, ``, 0, "request", `{"a":1}`},
		{"neither of three", `{"timeout":"1s"}`, ``, 200, ``, codes.InvalidArgument, "message", ""},
		{"no method", `{"request":{"request":{}}}`, ``, 200, ``, codes.InvalidArgument, "message", `"fullMethod is required"`},
		{"a timeout of nothing", `{"timeout":"0s",` + asked[1:], ``, 200, ``, codes.InvalidArgument, "message", `"timeout must be a duration over 0, like \"2s\""`},
	}
	inBubble(t, nil, func(t *testing.T, i *installation) {
		target := hooked(t, i, "restCall")
		admin := i.token(t, "admin")
		for _, f := range i.hookFaces(t) {
			for _, tt := range tests {
				target.say(tt.status, tt.answer)
				answer := f.call(t, admin, "Invoke", tt.request)
				var fields map[string]json.RawMessage
				if err := json.Unmarshal([]byte(answer.json), &fields); err != nil {
					t.Fatal(answer.json, err)
				}
				want(t, f, tt.name, tt.code, answer.code)
				if tt.want != "" {
					want(t, f, tt.name, tt.want, compact(t, fields[tt.field]))
				}
				sent, _ := target.got()
				if tt.sent != "" {
					want(t, f, tt.name, []string{tt.sent}, sent)
				} else if len(sent) > 0 {
					t.Errorf("%s: %s: sent %s", f, tt.name, sent)
				}
			}
			for name, code := range map[string]codes.Code{"viewer": codes.PermissionDenied, "nobody": codes.NotFound, "": codes.Unauthenticated} {
				token := ""
				if name != "" {
					token = i.token(t, name)
				}
				want(t, f, "called by "+name, code, f.call(t, token, "Invoke", asked).code)
			}
		}
	})
}

// TestHooksKeepEveryByte over JSON: what no target changes, and what it does.
func TestHooksKeepEveryByte(t *testing.T) {
	const odd = `{ "big" : 12345678901234567890.123400e+400, "b":1, "a":"\u003c<ü&" , "":null}`
	inBubble(t, nil, func(t *testing.T, i *installation) {
		target := hooked(t, i, "restCall")
		admin := bearer(i.token(t, "admin"))
		for _, path := range []string{"/v1/hooks:invoke", "/" + hookService + "/Invoke"} {
			_, body := i.post(t, http.MethodPost, path, admin, "application/json", []byte(`{"request":{"fullMethod":"/a.A/M","request":`+odd+`}}`))
			if want := `{"request":` + odd + `,"calls":[]}`; string(body) != want {
				t.Errorf("%s: nothing matched: %s", path, body)
			}
			target.say(200, odd)
			_, body = i.post(t, http.MethodPost, path, admin, "application/json", []byte(`{"request":{"fullMethod":"`+addUser+`","request":{}}}`))
			if !bytes.HasPrefix(body, []byte(`{"request":`+odd+`,"execution":`)) {
				t.Errorf("%s: changed: %s", path, body)
			}
			target.say(200, "")
			_, body = i.post(t, http.MethodPost, path, admin, "application/json", []byte(`{"response":{"fullMethod":"/a.A/M","request":`+odd+`,"response":`+odd+`}}`))
			if sent, _ := target.got(); !strings.Contains(sent[len(sent)-1], `"request":`+odd+`,"response":`+odd) || !bytes.Contains(body, []byte(odd)) {
				t.Errorf("%s: sent %s, answered %s", path, sent, body)
			}
		}
		for name, text := range map[string]string{
			"an unknown field": `{"request":{"fullMethod":"/a.A/M","request":{},"header":{}}}`, "two of three": `{"request":{},"function":{}}`,
			"something after it": `{"request":{"fullMethod":"/a.A/M","request":{}}} {}`, "no JSON": `{`, "nothing": ``, "a list": `[]`,
		} {
			if response, body := i.post(t, http.MethodPost, "/v1/hooks:invoke", admin, "application/json", []byte(text)); response.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %d %s", name, response.StatusCode, body)
			}
		}
		large := []byte(`{"request":{"fullMethod":"/a.A/M","request":"` + strings.Repeat("x", 1<<20) + `"}}`)
		if response, _ := i.post(t, http.MethodPost, "/v1/hooks:invoke", admin, "application/json", large); response.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("a large body: %d", response.StatusCode)
		}
	})
}

// TestAsyncTargetOfAHook is an event for one target: it gets the body of the hook, again until it takes it, and is listed.
func TestAsyncTargetOfAHook(t *testing.T) {
	short := func(c *local.Config) { c.Environ = []string{"CALLOUT_RETRY_SCHEDULE=5s"} }
	inBubble(t, short, func(t *testing.T, i *installation) {
		target := hooked(t, i, "restAsync")
		target.say(500, "")
		api := caller{i.Info.API, i.as(t.Context(), "admin")}
		answer := api.must(t, 200, "POST", "/v1/hooks:invoke", map[string]any{"request": map[string]any{"fullMethod": addUser, "userID": "u", "request": map[string]any{"n": 1}}})
		if call := answer["calls"].([]any)[0].(map[string]any); call["outcome"] != "queued" || call["statusCode"] != nil {
			t.Errorf("%v", call)
		}
		time.Sleep(2 * time.Second)
		first, _ := target.got()
		target.say(200, "")
		time.Sleep(10 * time.Second)
		second, h := target.got()
		const body = `{"fullMethod":"` + addUser + `","instanceID":"default","userID":"u","request":{"n":1}}`
		if diff := cmp.Diff([]string{body, body}, append(first, second...)); diff != "" {
			t.Error(diff)
		}
		if h.Get("callout-attempt") != "2" || h.Get("callout-delivery") == "" || h.Get("webhook-id") == "" {
			t.Errorf("headers %v", h)
		}
		found := list(api.must(t, 200, "POST", "/v1/deliveries/search", map[string]any{"filter": map[string]any{"eventType": "hook.request"}}), "deliveries")
		if len(found) != 1 || found[0]["state"] != "delivered" || found[0]["attemptCount"] != 2.0 {
			t.Errorf("found %v", found)
		}
	})
}

// TestHookTimeout: what the body says bounds the chain.
func TestHookTimeout(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		w := newWorld(t, i, "slow")
		w.sites["slow"].behave(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		for _, interrupts := range []bool{true, false} {
			target := w.api.must(t, 200, "POST", "/v2/actions/targets", map[string]any{
				"name": fmt.Sprint(interrupts), "restCall": map[string]any{"interruptOnError": interrupts}, "timeout": "60s", "endpoint": "http://127.0.0.1:9001/slow",
			})
			w.api.must(t, 200, "PUT", "/v2/actions/executions", map[string]any{"condition": map[string]any{"request": map[string]any{"all": true}}, "targets": []any{target["id"]}})
			start := time.Now()
			status, answer := w.api.call(t, "POST", "/v1/hooks:invoke", "application/json", map[string]any{
				"timeout": "2s", "request": map[string]any{"fullMethod": "/a.A/M", "request": map[string]any{}},
			})
			if took := time.Since(start); took != 2*time.Second {
				t.Errorf("interrupts %t: took %s", interrupts, took)
			}
			if interrupts && (status != 500 || !strings.Contains(fmt.Sprint(answer["message"]), "in time")) || !interrupts && (status != 200 || !strings.Contains(fmt.Sprint(answer["calls"]), "timeout")) {
				t.Errorf("interrupts %t: %d %v", interrupts, status, answer)
			}
		}
	})
}

// TestAnswersThatAreNoMessages: where a host has described its messages, an answer with a field that they do not have is refused.
func TestAnswersThatAreNoMessages(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		set := &descriptorpb.FileDescriptorSet{}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(calloutv1.File_callout_v1_event_service_proto))
		raw, err := proto.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		target := hooked(t, i, "restCall")
		api := caller{i.Info.API, i.as(t.Context(), "admin")}
		api.must(t, 200, "PUT", "/v1/catalog/self", map[string]any{"fileDescriptorSet": raw})
		const method = "/callout.v1.EventService/Publish"
		existing := api.must(t, 200, "POST", "/v2/actions/targets/search", map[string]any{})["targets"].([]any)[0].(map[string]any)
		api.must(t, 200, "PUT", "/v2/actions/executions", map[string]any{"condition": map[string]any{"request": map[string]any{"method": method}}, "targets": []any{existing["id"]}})
		for kind, rows := range map[string]map[string]int{
			"request":  {`{"events":[{"id":"1"}]}`: 200, `{}`: 200, `{"ids":["1"]}`: 500, `{"events":1}`: 500},
			"response": {`{"ids":["1"]}`: 200, `{"events":[]}`: 500},
		} {
			for answer, want := range rows {
				target.say(200, answer)
				body := map[string]any{"fullMethod": method, "request": map[string]any{}}
				if kind == "response" {
					body["response"] = map[string]any{}
				}
				if status, got := api.call(t, "POST", "/v1/hooks:invoke", "application/json", map[string]any{kind: body}); status != want {
					t.Errorf("%s %s: %d %v", kind, answer, status, got)
				}
			}
		}
	})
}

// TestPayloadFormsOfHooks: whoever is called before a request, before a response or in a function gets its form, with the changes of those
// before it.
func TestPayloadFormsOfHooks(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	inBubble(t, nil, func(t *testing.T, i *installation) {
		b := newBench(t, i, nil)
		var ids []string
		for _, form := range []string{"json", "jwt", "jwe"} {
			id, _ := b.target(t, form, "PAYLOAD_TYPE_"+strings.ToUpper(form))
			ids = append(ids, id)
		}
		b.addKey(t, ids[2], private, time.Time{})
		keys := envelope.NewPublished(i.Info.API+"/oauth/v2/keys", i.client)
		for condition, hook := range map[string]string{
			`{"request":{"all":true}}`:            `{"request":{"fullMethod":"/a.A/M","request":{"n":1}}}`,
			`{"response":{"all":true}}`:           `{"response":{"fullMethod":"/a.A/M","request":{"n":1},"response":{"n":2}}}`,
			`{"function":{"name":"preuserinfo"}}`: `{"function":{"name":"preuserinfo","payload":{"n":3}}}`,
		} {
			b.api.must(t, 200, "PUT", "/v2/actions/executions", map[string]any{"condition": json.RawMessage(condition), "targets": ids})
			b.api.must(t, 200, "POST", "/v1/hooks:invoke", json.RawMessage(hook))
			plain := (<-b.receiver.all).Body
			signed, err := envelope.VerifyJWT(t.Context(), (<-b.receiver.all).Body, keys)
			if err != nil || !bytes.Equal(signed, plain) {
				t.Errorf("%s: JWT of %s, %v", hook, signed, err)
			}
			opened, err := envelope.OpenJWE(t.Context(), (<-b.receiver.all).Body, map[string]crypto.PrivateKey{"": private}, keys)
			if err != nil || !bytes.Equal(opened, plain) {
				t.Errorf("%s: JWE of %s, %v", hook, opened, err)
			}
		}
	})
}

// TestRateLimitOfHooks: it is for invoking alone, over every protocol.
func TestRateLimitOfHooks(t *testing.T) {
	limited := func(c *local.Config) { c.Environ = []string{"CALLOUT_RATE_LIMITS=invoke=2/m"} }
	inBubble(t, limited, func(t *testing.T, i *installation) {
		h := bearer(i.token(t, "admin"))
		for _, f := range i.hookFaces(t) {
			const hook = `{"request":{"fullMethod":"/a.A/M","request":{}}}`
			for range 2 {
				want(t, f, "within the limit", codes.OK, f.send(t, h, "Invoke", hook).code)
			}
			over := f.send(t, h, "Invoke", hook)
			want(t, f, "over the limit", codes.ResourceExhausted, over.code)
			want(t, f, "when to try again", "30", over.header.Get("Retry-After"))
			response, _ := i.post(t, http.MethodPost, "/v1/events", h, "application/json", []byte(`{"event_type":"a.b"}`))
			want(t, f, "publishing", http.StatusAccepted, response.StatusCode)
			time.Sleep(time.Minute) // all is made good
		}
	})
}
