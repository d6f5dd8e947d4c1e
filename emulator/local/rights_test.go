package local_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/grpc/codes"

	"github.com/callout-dev/callout/emulator/local"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	actionv2beta "github.com/callout-dev/callout/shared/gen/zitadel/action/v2beta"
)

// rights is the table of actions-v2.md section 1.1: what a caller needs for each method; names want somebody who is known, and no more.
var rights = map[string]string{
	"CreateTarget": "action.target.write", "UpdateTarget": "action.target.write", "DeleteTarget": "action.target.delete",
	"GetTarget": "action.target.read", "ListTargets": "action.target.read",
	"AddPublicKey": "action.target.write", "ActivatePublicKey": "action.target.write", "DeactivatePublicKey": "action.target.write",
	"RemovePublicKey": "action.target.write", "ListPublicKeys": "action.target.read",
	"SetExecution": "action.execution.write", "ListExecutions": "action.execution.read",
	"ListExecutionFunctions": "", "ListExecutionMethods": "", "ListExecutionServices": "",
}

// roleRights are the permissions that the roles have by default.
var roleRights = map[string][]string{
	"admin":  {"action.target.read", "action.target.write", "action.target.delete", "action.execution.read", "action.execution.write"},
	"viewer": {"action.target.read", "action.execution.read"},
	"nobody": nil,
}

// TestRights calls each method over every face without a token, as each role, with the permission it needs alone, and with all others.
func TestRights(t *testing.T) {
	scopes := func(c *local.Config) { c.Environ = []string{"CALLOUT_SCOPE_PERMISSIONS=true"} }
	inBubble(t, scopes, func(t *testing.T, i *installation) {
		tokens := map[string]string{"no token": ""}
		for role := range roleRights {
			tokens[role] = i.token(t, role)
		}
		for _, permission := range roleRights["admin"] {
			others := slices.DeleteFunc(slices.Clone(roleRights["admin"]), func(p string) bool { return p == permission })
			tokens["only "+permission] = i.reissued(t, tokens["nobody"], "scope", permission)
			tokens["all but "+permission] = i.reissued(t, tokens["nobody"], "scope", strings.Join(others, " "))
		}
		for _, f := range i.faces(t) {
			for method, needed := range rights {
				if !f.serves(method) {
					continue
				}
				// Of nothing that there is: whoever may do it learns that.
				call := func(as string) said {
					return f.call(t, tokens[as], method, `{"id":"none","targetId":"none","keyId":"none"}`)
				}
				refused(t, f, method, "no token", call("no token"), codes.Unauthenticated, "auth header missing")
				for role, has := range roleRights {
					switch {
					case needed == "" || slices.Contains(has, needed):
						allowed(t, f, method, role, call(role))
					case role == "nobody":
						refused(t, f, method, role, call(role), codes.NotFound, "membership not found (AUTHZ-cdgFk)")
					default:
						refused(t, f, method, role, call(role), codes.PermissionDenied, "No matching permissions found (AUTH-AWfge)")
					}
				}
				if needed != "" {
					allowed(t, f, method, "it alone", call("only "+needed))
					refused(t, f, method, "all others", call("all but "+needed), codes.PermissionDenied, "No matching permissions found (AUTH-AWfge)")
				}
			}
		}
	})
}

func allowed(t *testing.T, f face, method, as string, answer said) {
	t.Helper()
	if message, _ := answer.fields(t)["message"].(string); strings.Contains(message, "AUTH") || answer.code == codes.Unauthenticated {
		t.Errorf("%s: %s with %s: %s", f, method, as, answer.json)
	}
}

func refused(t *testing.T, f face, method, as string, answer said, code codes.Code, message string) {
	t.Helper()
	if got, _ := answer.fields(t)["message"].(string); answer.code != code || got != message {
		t.Errorf("%s: %s with %s: got %s %s", f, method, as, answer.code, answer.json)
	}
}

// reissued signs what a token says again, with some claims changed.
func (i *installation) reissued(t *testing.T, token string, pairs ...any) string {
	t.Helper()
	made, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	own := made[1] // the issuer's first
	parsed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := parsed.Verify(&own.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(pairs); n += 2 {
		claims[pairs[n].(string)] = pairs[n+1]
	}
	return forge(t, jose.RS256, own, parsed.Signatures[0].Header.KeyID, claims)
}

// TestEachMethodHasItsRow: the tables of the faces leave out no method of either version.
func TestEachMethodHasItsRow(t *testing.T) {
	var v2 []string
	for _, m := range actionv2.ActionService_ServiceDesc.Methods {
		v2 = append(v2, m.MethodName)
	}
	slices.Sort(v2)
	for name, rows := range map[string]map[string]string{"routes": routes, "rights": rights} {
		if got := slices.Sorted(maps.Keys(rows)); !slices.Equal(got, v2) {
			t.Errorf("%s are of %v", name, got)
		}
	}
	for _, m := range actionv2beta.ActionService_ServiceDesc.Methods {
		if beta := (face{version: "v2beta"}); !beta.serves(m.MethodName) {
			t.Errorf("v2beta has %s", m.MethodName)
		}
	}
	if n := len(actionv2beta.ActionService_ServiceDesc.Methods); n != 10 {
		t.Errorf("v2beta has %d methods", n)
	}
}

// TestWhatIsNotServed: what there is not is refused in the shape of each protocol (actions-v2.md sections 1.5 and 3.1).
func TestWhatIsNotServed(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		token := i.token(t, "admin")
		const notFound, notAllowed = `{"code":5,"message":"Not Found"}`, `{"code":12,"message":"Method Not Allowed"}`
		for _, tt := range []struct {
			verb, path string
			status     int
			want       string
		}{
			{"PATCH", "/v2/actions/targets/x", 405, notAllowed}, {"PUT", "/v2beta/actions/targets", 405, notAllowed},
			{"DELETE", "/v2/actions/executions", 405, notAllowed}, {"GET", "/v2/actions/targets/x/publickeys/y/activate", 405, notAllowed},
			{"POST", "/v2/actions/nothing", 404, notFound}, {"POST", "/v2/actions/targets/x/nothing", 404, notFound},
			{"GET", "/v2/actions/executions/nothing", 404, notFound},
			// v2beta has no public keys, and its early forms are not served, nor is v3alpha.
			{"POST", "/v2beta/actions/targets/x/publickeys", 404, notFound},
			{"POST", "/v2beta/actions/targets/x/publickeys/search", 404, notFound},
			{"POST", "/v2beta/actions/targets/x/publickeys/y/activate", 404, notFound},
			{"DELETE", "/v2beta/actions/targets/x/publickeys/y", 404, notFound},
			{"POST", "/v2beta/actions/executions/_search", 404, notFound},
		} {
			response, answer := i.post(t, tt.verb, tt.path, bearer(token), "application/json", []byte("{}"))
			if got := compact(t, answer); response.StatusCode != tt.status || got != tt.want {
				t.Errorf("%s %s: %d %s", tt.verb, tt.path, response.StatusCode, got)
			}
		}
		conn := i.grpcConn(t)
		for service, methods := range map[string][]string{
			"zitadel.action.v2.ActionService":     {"Nothing", "DeleteExecution"},
			"zitadel.action.v2beta.ActionService": {"AddPublicKey", "ActivatePublicKey", "DeactivatePublicKey", "RemovePublicKey", "ListPublicKeys"},
		} {
			for _, method := range methods {
				want := service + " has no method " + method
				for _, encoding := range []string{"json", "proto"} {
					response, answer := i.post(t, "POST", "/"+service+"/"+method, bearer(token), "application/"+encoding, nil)
					if got := compact(t, answer); response.StatusCode != 404 || got != `{"code":"not_found","message":"`+want+`"}` {
						t.Errorf("%s over Connect in %s: %d %s", method, encoding, response.StatusCode, got)
					}
				}
				response, _ := i.post(t, "POST", "/"+service+"/"+method, bearer(token), "application/grpc-web+proto", make([]byte, 5))
				got := response.Header.Get("Grpc-Status") + " " + response.Header.Get("Grpc-Message")
				if response.StatusCode != http.StatusOK || got != "12 "+want {
					t.Errorf("%s over gRPC-Web: %d %v", method, response.StatusCode, response.Header)
				}
				in, out := &actionv2.GetTargetRequest{}, &actionv2.GetTargetResponse{}
				err := conn.Invoke(bearer(token).outgoing(t.Context()), "/"+service+"/"+method, in, out)
				checkStatus(t, err, codes.Unimplemented, want, "")
			}
		}
	})
}
