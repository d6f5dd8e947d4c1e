package local_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
)

const refusalsGolden = "testdata/refusals.txt"

// aKey is a public key, and aKeyPrint its fingerprint as openssl tells it.
const aKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEbUwxBWIeL1ocWnqyU8LvmARHoMPe
Dv2j5ExpU7c4vJzvi/C1tEvvc3GTiRSqPxl+vF4pYmIE+SGg5R1EVWPYrA==
-----END PUBLIC KEY-----
`

const aKeyPrint = "SHA256:FnQLheizVyYlWmd/RxRYE7305ZNXszB1mZ/v3DMsPn4"

// anEd25519Key is of a kind that nothing can be encrypted to.
const anEd25519Key = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
`

func pemJSON(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// refusal is a row of actions-v2.md: what is sent, and what must be said of it. In requests TARGET, ACTIVE, INACTIVE and EXPIRED stand for
// a target and its keys, and TAKEN for the name of another one.
type refusal struct {
	name, as, method, request string
	code                      codes.Code
	id, message               string
}

const (
	bad, gone, failed, taken = codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.AlreadyExists
	idLength                 = ": value length must be between 1 and 200 runes, inclusive"
	nameLength               = ": value length must be between 1 and 1000 runes, inclusive"
	noEnum                   = ": value must be one of the defined enum values"
	keyFormat                = "The public key is invalid. Must be a PEM encoded RSA or ECDSA public key in PKCS#8 format"
)

func callTarget(fields string) string { return `{"restCall":{},` + fields + `}` }

// refusals are sections 2 and 3 of actions-v2.md, with section 10's improvements.
func refusals() []refusal {
	const rest = `"name":"new","endpoint":"https://192.0.2.1/"`
	long := func(n int) string { return strings.Repeat("é", n) }
	set := func(condition string, targets ...string) string {
		list, _ := json.Marshal(targets)
		return `{"condition":` + condition + `,"targets":` + string(list) + `}`
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprint("t", i)
	}
	key := func(target, text, more string) string {
		return fmt.Sprintf(`{"targetId":%q,"publicKey":%q%s}`, target, pemJSON(text), more)
	}
	const event = `{"event":{"event":"order.created"}}`
	all := []refusal{
		{"3.4 no token", "", "GetTarget", `{"id":"x"}`, codes.Unauthenticated, "", "auth header missing"},
		{"3.4 a bad token", "bad", "GetTarget", `{"id":"x"}`, codes.Unauthenticated, "AUTH-7fs1e", "Token is invalid"},
		{"3.4 no permission", "viewer", "CreateTarget", `{}`, codes.PermissionDenied, "AUTH-AWfge", "No matching permissions found"},
		{"3.4 no membership", "nobody", "ListTargets", `{}`, gone, "AUTHZ-cdgFk", "membership not found"},
		{"3.4 permission goes before validation", "viewer", "CreateTarget", callTarget(`"endpoint":"` + long(3000) + `"`), codes.PermissionDenied, "AUTH-AWfge", "No matching permissions found"},

		{"1.3 create: no name", "admin", "CreateTarget", callTarget(`"endpoint":"https://192.0.2.1/"`), bad, "", "invalid CreateTargetRequest.Name" + nameLength},
		{"1.3 create: a long name", "admin", "CreateTarget", callTarget(`"name":"` + long(1001) + `"`), bad, "", "invalid CreateTargetRequest.Name" + nameLength},
		{"1.3 create: no type", "admin", "CreateTarget", `{` + rest + `,"timeout":"1s"}`, bad, "", "invalid CreateTargetRequest.TargetType: value is required"},
		{"1.3 create: too long a timeout", "admin", "CreateTarget", callTarget(rest + `,"timeout":"271s"`), bad, "", "invalid CreateTargetRequest.Timeout: value must be inside range [0s, 4m30s]"},
		{"1.3 create: a negative timeout", "admin", "CreateTarget", callTarget(rest + `,"timeout":"-0.1s"`), bad, "", "invalid CreateTargetRequest.Timeout: value must be inside range [0s, 4m30s]"},
		{"1.3 create: an undefined payload type", "admin", "CreateTarget", callTarget(rest + `,"timeout":"1s","payloadType":9`), bad, "", "invalid CreateTargetRequest.PayloadType" + noEnum},
		{"3.5 create: no URL", "admin", "CreateTarget", callTarget(`"name":"new","timeout":"1s"`), bad, "COMMAND-1r2k6qo6wg", "Target has an invalid URL"},
		{"3.5 create: no host", "admin", "CreateTarget", callTarget(`"name":"new","endpoint":"https:///x","timeout":"1s"`), bad, "COMMAND-1r2k6qo6wg", "Target has an invalid URL"},
		{"3.5 create: no timeout", "admin", "CreateTarget", callTarget(rest), bad, "COMMAND-39f35d8uri", "Target has no timeout"},
		{"3.5 create: timeout before URL", "admin", "CreateTarget", callTarget(`"name":"new","endpoint":":","timeout":"0s"`), bad, "COMMAND-39f35d8uri", "Target has no timeout"},
		{"3.5 create: not a URL", "admin", "CreateTarget", callTarget(`"name":"new","endpoint":":","timeout":"1s"`), bad, "COMMAND-1r2k6qo6wg", "Target has an invalid URL"},
		{"3.5 create: not http", "admin", "CreateTarget", callTarget(`"name":"new","endpoint":"ftp://192.0.2.1/","timeout":"1s"`), bad, "COMMAND-1r2k6qo6wg", "Target has an invalid URL"},
		{"3.5 create: user info", "admin", "CreateTarget", callTarget(`"name":"new","endpoint":"https://a:b@192.0.2.1/","timeout":"1s"`), bad, "COMMAND-1r2k6qo6wg", "Target has an invalid URL"},
		{"3.5 create: denied", "admin", "CreateTarget", callTarget(`"name":"new","endpoint":"http://10.0.0.1/","timeout":"1s"`), bad, "COMMAND-NcJUKo", "Errors.Target.DeniedURL"},
		{"3.5 create: denied before taken", "admin", "CreateTarget", callTarget(`"name":"TAKEN","endpoint":"http://10.0.0.1/","timeout":"1s"`), bad, "COMMAND-NcJUKo", "Errors.Target.DeniedURL"},
		{"3.5 create: taken", "admin", "CreateTarget", callTarget(`"name":"TAKEN","endpoint":"https://192.0.2.1/","timeout":"1s"`), taken, "V3-DKcYh", "Errors.Target.AlreadyExists"},
		{"1.3 update: a long id", "admin", "UpdateTarget", `{"id":"` + long(201) + `"}`, bad, "", "invalid UpdateTargetRequest.Id" + idLength},
		{"1.3 update: a long name", "admin", "UpdateTarget", `{"id":"TARGET","name":"` + long(1001) + `"}`, bad, "", "invalid UpdateTargetRequest.Name" + nameLength},
		{"1.3 update: too long a timeout", "admin", "UpdateTarget", `{"id":"TARGET","timeout":"270.000000001s"}`, bad, "", "invalid UpdateTargetRequest.Timeout: value must be inside range [0s, 4m30s]"},
		{"1.3 update: an undefined payload type", "admin", "UpdateTarget", `{"id":"TARGET","payloadType":9}`, bad, "", "invalid UpdateTargetRequest.PayloadType" + noEnum},
		{"3.5 update: no id", "admin", "UpdateTarget", `{"id":"","name":"x"}`, bad, "COMMAND-zqibgg0wwh", "ID missing"},
		{"3.5 update: an empty name", "admin", "UpdateTarget", `{"id":"TARGET","name":""}`, bad, "COMMAND-d1wx4lm0zr", "Target is invalid"},
		{"3.5 update: an empty URL", "admin", "UpdateTarget", `{"id":"TARGET","endpoint":""}`, bad, "COMMAND-jsbaera7b6", "Target has an invalid URL"},
		{"3.5 update: timeout 0", "admin", "UpdateTarget", `{"id":"TARGET","timeout":"0s"}`, bad, "COMMAND-08b39vdi57", "Target has no timeout"},
		{"3.5 update: not a URL", "admin", "UpdateTarget", `{"id":"TARGET","endpoint":"mailto:a@b"}`, bad, "COMMAND-jsbaera7b6", "Target has an invalid URL"},
		{"3.5 update: denied", "admin", "UpdateTarget", `{"id":"TARGET","endpoint":"http://[::ffff:10.0.0.1]/"}`, bad, "COMMAND-jKbbu2", "Errors.Target.DeniedURL"},
		{"3.5 update: taken", "admin", "UpdateTarget", `{"id":"TARGET","name":"TAKEN"}`, taken, "V3-DKcYh", "Errors.Target.AlreadyExists"},
		{"3.5 update: unknown", "admin", "UpdateTarget", `{"id":"none"}`, gone, "COMMAND-xj14f2cccn", "Target not found"},
		{"10 update: more than a week of overlap", "admin", "UpdateTarget", `{"id":"TARGET","expirationSigningKey":"604801s"}`, bad, "", "invalid UpdateTargetRequest.ExpirationSigningKey: value must be inside range [0s, 168h0m0s]"},
		{"10 update: less than no overlap", "admin", "UpdateTarget", `{"id":"TARGET","expirationSigningKey":"-1s"}`, bad, "", "invalid UpdateTargetRequest.ExpirationSigningKey: value must be inside range [0s, 168h0m0s]"},
		{"3.5 delete: no id", "admin", "DeleteTarget", `{"id":""}`, bad, "COMMAND-obqos2l3no", "ID missing"},
		{"1.3 get: no id", "admin", "GetTarget", `{"id":""}`, bad, "", "invalid GetTargetRequest.Id" + idLength},
		{"1.3 get: a long id", "admin", "GetTarget", `{"id":"` + long(201) + `"}`, bad, "", "invalid GetTargetRequest.Id" + idLength},
		{"1.3 get: an id as long as may be, unknown", "admin", "GetTarget", `{"id":"` + long(200) + `"}`, gone, "QUERY-hj5oaniyrz", "Target not found"},
		{"1.3 delete: a long id", "admin", "DeleteTarget", `{"id":"` + long(201) + `"}`, bad, "", "invalid DeleteTargetRequest.Id" + idLength},
		{"3.5 get: unknown", "admin", "GetTarget", `{"id":"none"}`, gone, "QUERY-hj5oaniyrz", "Target not found"},

		{"2 targets: too long a page", "admin", "ListTargets", `{"pagination":{"limit":1001}}`, bad, "QUERY-4M0fs", "Limit exceeded"},
		{"2 targets: an empty filter", "admin", "ListTargets", `{"filters":[{}]}`, bad, "", "invalid TargetSearchFilter.Filter: value is required"},
		{"2 targets: an empty list of ids", "admin", "ListTargets", `{"filters":[{"inTargetIdsFilter":{}}]}`, bad, "", "values array must not be empty"},
		{"2 targets: a long name", "admin", "ListTargets", `{"filters":[{"targetNameFilter":{"targetName":"` + long(201) + `"}}]}`, bad, "", "invalid TargetNameFilter.TargetName: value length must be at most 200 runes"},
		{"2 targets: an undefined column", "admin", "ListTargets", `{"sortingColumn":9}`, bad, "", "invalid ListTargetsRequest.SortingColumn" + noEnum},
		{"2 targets: an undefined method", "admin", "ListTargets", `{"filters":[{"targetNameFilter":{"targetName":"x","method":8}}]}`, bad, "", "invalid TargetNameFilter.Method" + noEnum},
		{"2 executions: an undefined column", "admin", "ListExecutions", `{"sortingColumn":4}`, bad, "", "invalid ListExecutionsRequest.SortingColumn" + noEnum},
		{"2 executions: no type", "admin", "ListExecutions", `{"filters":[{"executionTypeFilter":{}}]}`, bad, "", "invalid ExecutionTypeFilter.ExecutionType" + noEnum},
		{"2 executions: an undefined type", "admin", "ListExecutions", `{"filters":[{"executionTypeFilter":{"executionType":5}}]}`, bad, "", "invalid ExecutionTypeFilter.ExecutionType" + noEnum},
		{"2 executions: no target", "admin", "ListExecutions", `{"filters":[{"targetFilter":{}}]}`, bad, "", "invalid TargetFilter.TargetId" + idLength},
		{"2 executions: a condition of nothing", "admin", "ListExecutions", `{"filters":[{"inConditionsFilter":{"conditions":[{"event":{}}]}}]}`, bad, "COMMAND-w5smb6v7qu", "Execution is invalid"},
		{"2 executions: a condition of no method", "admin", "ListExecutions", `{"filters":[{"inConditionsFilter":{"conditions":[{"request":{"method":""}}]}}]}`, bad, "", "invalid RequestExecution.Method" + nameLength},
		{"2 executions: too long a page", "admin", "ListExecutions", `{"pagination":{"limit":1001}}`, bad, "QUERY-4M0fs", "Limit exceeded"},
		{"2 executions: an empty filter", "admin", "ListExecutions", `{"filters":[{}]}`, bad, "", "invalid ExecutionSearchFilter.Filter: value is required"},
		{"2 executions: an empty list of conditions", "admin", "ListExecutions", `{"filters":[{"inConditionsFilter":{}}]}`, bad, "", "values array must not be empty"},
		{"2 executions: a malformed condition", "admin", "ListExecutions", `{"filters":[{"inConditionsFilter":{"conditions":[{}]}}]}`, bad, "ACTION-5r5Ju", "Execution condition is invalid"},
		{"2 keys: too long a page", "admin", "ListPublicKeys", `{"targetId":"TARGET","pagination":{"limit":1001}}`, bad, "QUERY-4M0fs", "Limit exceeded"},
		{"2 keys: an empty filter", "admin", "ListPublicKeys", `{"targetId":"TARGET","filters":[{}]}`, bad, "GRPC-vR9nC", "List.Query.Invalid"},
		{"2 keys: an empty list of ids", "admin", "ListPublicKeys", `{"targetId":"TARGET","filters":[{"keyIdsFilter":{}}]}`, bad, "", "values array must not be empty"},

		{"2 keys: an undefined column", "admin", "ListPublicKeys", `{"targetId":"TARGET","sortingColumn":4}`, bad, "", "invalid ListPublicKeysRequest.SortingColumn" + noEnum},
		{"2 keys: an undefined method", "admin", "ListPublicKeys", `{"targetId":"TARGET","filters":[{"expirationDateFilter":{"timestamp":"2030-01-01T00:00:00Z","method":5}}]}`, bad, "", "invalid TimestampFilter.Method" + noEnum},
		{"2 keys: no time", "admin", "ListPublicKeys", `{"targetId":"TARGET","filters":[{"expirationDateFilter":{}}]}`, bad, "", "invalid TimestampFilter.Timestamp: value is required"},

		{"3.6 add: no permission", "viewer", "AddPublicKey", key("TARGET", aKey, ""), codes.PermissionDenied, "AUTH-AWfge", "No matching permissions found"},
		{"3.6 add: no id", "admin", "AddPublicKey", key(" ", aKey, ""), bad, "", "ID missing"},
		{"3.6 add: a long id", "admin", "AddPublicKey", key(long(201), aKey, ""), bad, "", "invalid AddPublicKeyRequest.TargetId" + idLength},
		{"3.6 add: the id goes first", "admin", "AddPublicKey", key(" ", "x", `,"expirationDate":"2000-01-01T00:00:00Z"`), bad, "", "ID missing"},
		{"1.3 add: no key", "admin", "AddPublicKey", `{"targetId":"TARGET"}`, bad, "", "invalid AddPublicKeyRequest.PublicKey: value length must be between 1 and 8192 bytes, inclusive"},
		{"1.3 add: a long key", "admin", "AddPublicKey", key("TARGET", strings.Repeat("x", 8193), ""), bad, "", "invalid AddPublicKeyRequest.PublicKey: value length must be between 1 and 8192 bytes, inclusive"},
		{"3.6 add: expired", "admin", "AddPublicKey", key("none", "x", `,"expirationDate":"2000-01-01T00:00:00Z"`), bad, "", "Key expiration date must be in the future"},
		{"3.6 add: not a key", "admin", "AddPublicKey", key("none", "x", ""), bad, "", keyFormat},
		{"3.6 add: PKCS#1", "admin", "AddPublicKey", key("TARGET", strings.ReplaceAll(aKey, "PUBLIC", "RSA PUBLIC"), ""), bad, "", keyFormat},
		{"3.6 add: ed25519", "admin", "AddPublicKey", key("TARGET", anEd25519Key, ""), bad, "", keyFormat},
		{"3.6 add: something after the key", "admin", "AddPublicKey", key("TARGET", aKey+aKey, ""), bad, "", keyFormat},
		{"1.3 add: a key as long as may be, but none", "admin", "AddPublicKey", key("TARGET", strings.Repeat("x", 8192), ""), bad, "", keyFormat},
		{"3.6 add: no target", "admin", "AddPublicKey", key("none", aKey, ""), failed, "COMMAND-nd3fsd", "Target not found"},
		{"3.6 remove: active", "admin", "RemovePublicKey", `{"targetId":"TARGET","keyId":"ACTIVE"}`, failed, "", "Cannot delete active target public key"},
		{"3.6 remove: no key id", "admin", "RemovePublicKey", `{"targetId":"TARGET","keyId":" "}`, bad, "", "ID missing"},
		{"3.6 remove: no id", "admin", "RemovePublicKey", `{"targetId":" ","keyId":"x"}`, bad, "", "ID missing"},
		{"1.3 remove: a long id", "admin", "RemovePublicKey", `{"targetId":"` + long(201) + `","keyId":"x"}`, bad, "", "invalid RemovePublicKeyRequest.TargetId" + idLength},
		{"1.3 remove: a long key id", "admin", "RemovePublicKey", `{"targetId":"x","keyId":"` + long(201) + `"}`, bad, "", "invalid RemovePublicKeyRequest.KeyId" + idLength},
		{"1.3 list: a long id", "admin", "ListPublicKeys", `{"targetId":"` + long(201) + `"}`, bad, "", "invalid ListPublicKeysRequest.TargetId" + idLength},
		{"3.6 list: no id", "admin", "ListPublicKeys", `{"targetId":" "}`, bad, "", "ID missing"},
		{"3.6 activate: expired", "admin", "ActivatePublicKey", `{"targetId":"TARGET","keyId":"EXPIRED"}`, failed, "COMMAND-SAF4g", "Target public key is expired"},

		{"3.7 no condition", "admin", "SetExecution", `{}`, bad, "ACTION-5r5Ju", "Execution condition is invalid"},
		{"3.7 request: nothing set", "admin", "SetExecution", set(`{"request":{}}`), bad, "", "invalid RequestExecution.Condition: value is required"},
		{"3.7 response: nothing set", "admin", "SetExecution", set(`{"response":{}}`), bad, "", "invalid ResponseExecution.Condition: value is required"},
		{"3.7 method unknown", "admin", "SetExecution", set(`{"request":{"method":"/zitadel.user.v2.UserService/Nothing"}}`), gone, "COMMAND-vysplsevt8", "Execution condition is invalid"},
		{"3.7 service unknown", "admin", "SetExecution", set(`{"response":{"service":"zitadel.nothing.v2.Service"}}`), gone, "COMMAND-qu6dfhiioq", "Execution condition is invalid"},
		{"3.7 function empty", "admin", "SetExecution", set(`{"function":{}}`), bad, "COMMAND-5folwn5jws", "Execution condition is invalid"},
		{"3.7 function unknown", "admin", "SetExecution", set(`{"function":{"name":"nothing"}}`), gone, "COMMAND-cdy39t0ksr", "Execution condition is invalid"},
		{"3.7 event: nothing set", "admin", "SetExecution", set(`{"event":{}}`), bad, "COMMAND-w5smb6v7qu", "Execution is invalid"},
		{"3.7 event unknown", "admin", "SetExecution", set(`{"event":{"event":"user.nothing"}}`), gone, "COMMAND-74aaqj8fv9", "Execution condition is invalid"},
		{"3.7 group unknown", "admin", "SetExecution", set(`{"event":{"group":"user.huma"}}`), gone, "COMMAND-er5oneb5lz", "Execution condition is invalid"},
		{"1.3 all is false", "admin", "SetExecution", set(`{"event":{"all":false}}`), bad, "", "invalid EventExecution.All: value must equal true"},
		{"1.3 all is false: request", "admin", "SetExecution", set(`{"request":{"all":false}}`), bad, "", "invalid RequestExecution.All: value must equal true"},
		{"1.3 all is false: response", "admin", "SetExecution", set(`{"response":{"all":false}}`), bad, "", "invalid ResponseExecution.All: value must equal true"},
		{"1.3 request: an empty method", "admin", "SetExecution", set(`{"request":{"method":""}}`), bad, "", "invalid RequestExecution.Method" + nameLength},
		{"1.3 request: a long method", "admin", "SetExecution", set(`{"request":{"method":"` + long(1001) + `"}}`), bad, "", "invalid RequestExecution.Method" + nameLength},
		{"1.3 request: an empty service", "admin", "SetExecution", set(`{"request":{"service":""}}`), bad, "", "invalid RequestExecution.Service" + nameLength},
		{"1.3 response: a long service", "admin", "SetExecution", set(`{"response":{"service":"` + long(1001) + `"}}`), bad, "", "invalid ResponseExecution.Service" + nameLength},
		{"1.3 function: a long name", "admin", "SetExecution", set(`{"function":{"name":"` + long(1001) + `"}}`), bad, "", "invalid FunctionExecution.Name" + nameLength},
		{"1.3 event: an empty one", "admin", "SetExecution", set(`{"event":{"event":""}}`), bad, "", "invalid EventExecution.Event" + nameLength},
		{"1.3 event: a long group", "admin", "SetExecution", set(`{"event":{"group":"` + long(1001) + `"}}`), bad, "", "invalid EventExecution.Group" + nameLength},
		{"4.2 method without its slash, unknown", "admin", "SetExecution", set(`{"request":{"method":"zitadel.user.v2.UserService/AddHumanUser"}}`), gone, "COMMAND-vysplsevt8", "Execution condition is invalid"},
		{"4.2 service with a slash, unknown", "admin", "SetExecution", set(`{"request":{"service":"/zitadel.user.v2.UserService"}}`), gone, "COMMAND-qu6dfhiioq", "Execution condition is invalid"},
		{"4.2 a method is no service, unknown", "admin", "SetExecution", set(`{"request":{"service":"zitadel.user.v2.UserService/AddHumanUser"}}`), gone, "COMMAND-qu6dfhiioq", "Execution condition is invalid"},
		{"4.2 a group is no event, unknown", "admin", "SetExecution", set(`{"event":{"event":"user.human"}}`), gone, "COMMAND-74aaqj8fv9", "Execution condition is invalid"},
		{"3.7 an empty id", "admin", "SetExecution", set(event, "TARGET", ""), bad, "COMMAND-hdm4zl1hmd", "Execution is invalid"},
		{"3.7 a target that is none", "admin", "SetExecution", set(event, "TARGET", "none"), gone, "COMMAND-17e8fq1ggk", "Target not found"},
		{"3.7 a target twice", "admin", "SetExecution", set(event, "TARGET", "TARGET"), gone, "COMMAND-17e8fq1ggk", "Target not found"},
		{"10 101 targets", "admin", "SetExecution", set(event, many...), bad, "COMMAND-tg100max", "Too many targets"},
	}
	for _, method := range []string{"ActivatePublicKey", "DeactivatePublicKey"} {
		all = append(all,
			refusal{"3.6 " + method + ": no key id", "admin", method, `{"targetId":"TARGET","keyId":" "}`, bad, "", "ID missing"},
			refusal{"3.6 " + method + ": no id", "admin", method, `{"targetId":" ","keyId":"x"}`, bad, "", "ID missing"},
			refusal{"1.3 " + method + ": a long id", "admin", method, `{"targetId":"` + long(201) + `","keyId":"x"}`, bad, "", "invalid " + method + "Request.TargetId" + idLength},
			refusal{"1.3 " + method + ": a long key id", "admin", method, `{"targetId":"x","keyId":"` + long(201) + `"}`, bad, "", "invalid " + method + "Request.KeyId" + idLength},
			refusal{"3.6 " + method + ": no target", "admin", method, `{"targetId":"none","keyId":"ACTIVE"}`, failed, "COMMAND-SAF4g", "Target not found"},
			refusal{"3.6 " + method + ": no key", "admin", method, `{"targetId":"TARGET","keyId":"none"}`, failed, "COMMAND-SAF4g", "Target public key not found"},
		)
	}
	return all
}

// TestRefusals sends each refusal over every face. What the table says must be said; how, is in the golden file: v2beta says what v2 does,
// gRPC-Web what gRPC does, and Connect the same in both of its encodings.
func TestRefusals(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		tokens := map[string]string{"": "", "bad": "x"}
		for _, name := range []string{"admin", "viewer", "nobody"} {
			tokens[name] = i.token(t, name)
		}
		faces := i.faces(t)
		placed := placeKeys(t, faces[0], tokens["admin"])
		var got strings.Builder
		for _, r := range refusals() {
			fmt.Fprintf(&got, "== %s\n", r.name)
			lines := map[string]string{}
			for _, f := range faces {
				if !f.serves(r.method) || f.version != "v2" && strings.Contains(r.request, "payloadType") { // of which v2beta knows nothing
					continue
				}
				answer := f.call(t, tokens[r.as], r.method, placed.Replace(r.request))
				r.check(t, f, answer)
				line := fmt.Sprintf("%d %s", answer.status, answer.json)
				name := strings.TrimSuffix(strings.TrimSuffix(f.protocol, "-Web"), " proto")
				if lines[name] == "" {
					fmt.Fprintf(&got, "%s %s\n", name, line)
					lines[name] = line
				} else if diff := cmp.Diff(lines[name], line); diff != "" {
					t.Errorf("%s: %s (-its twin +it):\n%s", r.name, f, diff)
				}
			}
		}
		if total := faces[0].do(t, tokens["admin"], "ListTargets", `{}`)["pagination"].(map[string]any)["totalResult"]; total != "2" {
			t.Errorf("there are %v targets now", total)
		}
		if *update {
			if err := os.WriteFile(refusalsGolden, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(refusalsGolden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// TestUnreadableSigningKey is the last row of actions-v2.md section 3.5: a key in the database that no seal key opens.
func TestUnreadableSigningKey(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		b, token := newBench(t, i, nil), i.token(t, "admin")
		id := b.api.must(t, 200, "POST", "/v2/actions/targets", map[string]any{"name": "n", "restAsync": map[string]any{}, "timeout": "1s", "endpoint": endpoint()})["id"]
		name := fmt.Sprintf("%s/documents/instances/default/targets/%s", inDatabase, id)
		client := b.firestore(t)
		doc, err := client.GetDocument(t.Context(), &firestorepb.GetDocumentRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		key := doc.GetFields()["signingKeys"].GetArrayValue().GetValues()[0].GetMapValue().GetFields()
		key["sealed"] = &firestorepb.Value{ValueType: &firestorepb.Value_StringValue{StringValue: key["sealed"].GetStringValue() + "x"}}
		write := &firestorepb.Write{Operation: &firestorepb.Write_Update{Update: doc}}
		if _, err := client.Commit(t.Context(), &firestorepb.CommitRequest{Database: inDatabase, Writes: []*firestorepb.Write{write}}); err != nil {
			t.Fatal(err)
		}
		for _, f := range i.faces(t) {
			for method, request := range map[string]string{"GetTarget": fmt.Sprintf(`{"id":%q}`, id), "ListTargets": `{}`} {
				refused(t, f, method, "a key of another seal", f.call(t, token, method, request), codes.Internal, "An internal error occurred (QUERY-bxevy3YXwy)")
			}
		}
	})
}

func (r refusal) check(t *testing.T, f face, answer said) {
	t.Helper()
	message, _ := answer.fields(t)["message"].(string)
	want := r.message
	if r.id != "" {
		want += " (" + r.id + ")"
	}
	if r.code == gone && strings.Contains(r.name, "unknown") { // ours adds a way out
		message = r.message + message[max(0, strings.LastIndex(message, " (")):]
	}
	if answer.code != r.code || message != want {
		t.Errorf("%s: %s: got %s %s, want %s %q", r.name, f, answer.code, answer.json, r.code, want)
	}
}

// placeKeys makes what the requests name.
func placeKeys(t *testing.T, f face, token string) *strings.Replacer {
	t.Helper()
	create := func(name string) string {
		return fmt.Sprint(f.do(t, token, "CreateTarget", `{"name":"`+name+`","restAsync":{},"timeout":"1s","endpoint":"https://192.0.2.1/"}`)["id"])
	}
	id := create("one")
	create("TAKEN")
	add := func(expires string) string {
		return fmt.Sprint(f.do(t, token, "AddPublicKey", fmt.Sprintf(`{"targetId":%q,"publicKey":%q%s}`, id, pemJSON(aKey), expires))["keyId"])
	}
	active, inactive := add(""), add("")
	expired := add(fmt.Sprintf(`,"expirationDate":%q`, time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)))
	time.Sleep(2 * time.Second)
	f.do(t, token, "ActivatePublicKey", fmt.Sprintf(`{"targetId":%q,"keyId":%q}`, id, active))
	return strings.NewReplacer("TARGET", id, "INACTIVE", inactive, "ACTIVE", active, "EXPIRED", expired)
}
