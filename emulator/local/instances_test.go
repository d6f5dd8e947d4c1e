package local_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"github.com/callout-dev/callout/emulator/local"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

// tenant calls the API under a host of its own, as the owner; the issuer and its tokens are the same for all.
type tenant struct {
	t      *testing.T
	i      *installation
	header header
}

// call is one procedure by Connect: its HTTP status, and the answer without white space.
func (c tenant) call(procedure string, body map[string]any) (int, string) {
	c.t.Helper()
	if body == nil {
		body = map[string]any{}
	}
	text, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	response, answer := c.i.post(c.t, http.MethodPost, procedure, c.header, "application/json", text)
	return response.StatusCode, compact(c.t, answer)
}

func (c tenant) must(procedure string, body map[string]any) map[string]any {
	c.t.Helper()
	status, text := c.call(procedure, body)
	var answer map[string]any
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status != http.StatusOK {
		c.t.Fatalf("%s: %d %s", procedure, status, text)
	}
	return answer
}

const (
	actions    = "/zitadel.action.v2.ActionService/"
	events     = "/callout.v1.EventService/"
	deliveries = "/callout.v1.DeliveryService/"
	catalog    = "/callout.v1.CatalogService/"
)

// TestInstancesAreApart: whoever comes by one host tries every method on what another host's instance has. Nothing of it is seen, and
// nothing of it changes.
func TestInstancesAreApart(t *testing.T) {
	instances := func(c *local.Config) {
		c.Environ = []string{"CALLOUT_INSTANCES=a.example=a,b.example=b", "CALLOUT_RETRY_SCHEDULE=1s"}
	}
	inBubble(t, instances, func(t *testing.T, i *installation) {
		b := newBench(t, i, func(int, received) int { return http.StatusInternalServerError })
		authorization := "Bearer " + i.token(t, "admin")
		at := func(host string) tenant {
			return tenant{t, i, header{"authorization": authorization, "Host": host}}
		}
		owner := at("a.example")
		condition := map[string]any{"event": map[string]any{"event": "order.created"}}
		target := owner.must(actions+"CreateTarget", map[string]any{"name": "secret name", "restWebhook": map[string]any{}, "timeout": "5s", "endpoint": endpoint()})
		id, key := target["id"].(string), target["signingKey"].(string)
		publicKey := owner.must(actions+"AddPublicKey", map[string]any{"targetId": id, "publicKey": pemJSON(aKey)})["keyId"].(string)
		owner.must(actions+"ActivatePublicKey", map[string]any{"targetId": id, "keyId": publicKey})
		owner.must(actions+"SetExecution", map[string]any{"condition": condition, "targets": []string{id}})
		owner.must(catalog+"SetCatalog", map[string]any{"host": "secret-host", "functions": []string{"secret-function"}})
		owner.must(events+"Publish", map[string]any{"events": []any{map[string]any{"id": "o1", "event_type": "order.created", "event_payload": map[string]any{"pin": "secret data"}}, map[string]any{"id": "o2", "event_type": "order.created"}}})
		time.Sleep(10 * time.Second)
		found := owner.must(deliveries+"SearchDeliveries", map[string]any{})["deliveries"].([]any)
		delivery := found[0].(map[string]any)["id"].(string)
		if state := found[0].(map[string]any)["state"]; len(found) != 2 || state != "dead" {
			t.Fatalf("got %v", found)
		}

		page := owner.must(deliveries+"SearchDeliveries", map[string]any{"pageSize": 1})["nextPageToken"]

		// Everything that the owner can see of it.
		view := func() (all []string) {
			for _, look := range []struct {
				procedure string
				body      map[string]any
			}{
				{actions + "GetTarget", map[string]any{"id": id}}, {actions + "ListTargets", nil}, {actions + "ListExecutions", nil}, {catalog + "ListCatalog", nil},
				{actions + "ListPublicKeys", map[string]any{"targetId": id}},
				{deliveries + "SearchDeliveries", map[string]any{"counts": true}}, {deliveries + "GetDelivery", map[string]any{"id": delivery}},
				{deliveries + "ExplainEvent", map[string]any{"id": "o1"}}, {deliveries + "GetTargetDelivery", map[string]any{"id": id}},
			} {
				status, text := owner.call(look.procedure, look.body)
				if status != http.StatusOK {
					t.Errorf("the owner's %s: %d %s", look.procedure, status, text)
				}
				all = append(all, fmt.Sprint(look.procedure, " ", status, " ", text))
			}
			return all
		}
		before, called := view(), len(b.receiver.all)

		// What another one may answer: what they have themselves, or a refusal that tells nothing of it.
		type attempt struct {
			procedure string
			body      map[string]any
			want      []int
		}
		refused, fine := []int{400, 404}, []int{200}
		ofTarget, ofKey := map[string]any{"id": id}, map[string]any{"targetId": id, "keyId": publicKey}
		attempts := []attempt{
			{actions + "CreateTarget", map[string]any{"name": "secret name", "restAsync": map[string]any{}, "timeout": "5s", "endpoint": endpoint()}, fine}, // names are unique in an instance
			{actions + "UpdateTarget", map[string]any{"id": id, "name": "taken", "endpoint": "https://192.0.2.1/", "expirationSigningKey": "0s"}, refused},
			{actions + "DeleteTarget", ofTarget, fine}, // what is not there is deleted already
			{actions + "GetTarget", ofTarget, refused},
			{actions + "ListTargets", map[string]any{"filters": []any{map[string]any{"inTargetIdsFilter": map[string]any{"targetIds": []string{id}}}}}, fine},
			{actions + "AddPublicKey", map[string]any{"targetId": id, "publicKey": pemJSON(aKey)}, []int{400}},
			{actions + "ActivatePublicKey", ofKey, []int{400}},
			{actions + "DeactivatePublicKey", ofKey, []int{400}},
			{actions + "RemovePublicKey", ofKey, fine}, // what is not there is removed already
			{actions + "ListPublicKeys", map[string]any{"targetId": id}, fine},
			{actions + "SetExecution", map[string]any{"condition": condition, "targets": []string{id}}, refused},
			{actions + "SetExecution", map[string]any{"condition": condition}, fine}, // removes their own, which there is none of
			{actions + "ListExecutions", map[string]any{"filters": []any{map[string]any{"targetFilter": map[string]any{"targetId": id}}}}, fine},
			{catalog + "ListCatalog", nil, fine}, {catalog + "ListCatalog", map[string]any{"host": "secret-host"}, refused}, {catalog + "RemoveCatalog", map[string]any{"host": "secret-host"}, fine},
			{catalog + "SetCatalog", map[string]any{"host": "secret-host", "functions": []string{"taken"}}, fine}, // their own
			{actions + "ListExecutionFunctions", nil, fine}, {actions + "ListExecutionMethods", nil, fine}, {actions + "ListExecutionServices", nil, fine},
			{events + "Publish", map[string]any{"events": []any{map[string]any{"id": "o1", "instanceID": "a", "event_type": "order.created"}}}, []int{400}},
			{deliveries + "SearchDeliveries", map[string]any{"filter": map[string]any{"target": id}, "counts": true}, []int{200, 404}},
			{deliveries + "SearchDeliveries", map[string]any{"filter": map[string]any{"text": delivery}}, fine},
			{deliveries + "SearchDeliveries", map[string]any{"filter": map[string]any{"text": "o1"}}, fine},
			{deliveries + "SearchDeliveries", nil, fine},
			{deliveries + "SearchDeliveries", map[string]any{"pageSize": 1, "pageToken": page}, []int{200, 400}},
			{deliveries + "GetDelivery", map[string]any{"id": delivery}, refused},
			{deliveries + "RedeliverDelivery", map[string]any{"id": delivery}, refused},
			{deliveries + "RedeliverDeliveries", map[string]any{"filter": map[string]any{"target": id}}, []int{200, 404}},
			{deliveries + "RedeliverDeliveries", nil, fine},
			{deliveries + "ExplainEvent", map[string]any{"id": "o1"}, refused},
			{deliveries + "DeleteEvent", map[string]any{"id": "o1"}, []int{200, 404}},
			{deliveries + "TestTarget", ofTarget, refused}, {deliveries + "PauseTarget", ofTarget, refused}, {deliveries + "ResumeTarget", ofTarget, refused},
			{deliveries + "GetTargetDelivery", ofTarget, refused},
			{deliveries + "UpdateTargetDelivery", map[string]any{"id": id, "ratePerSecond": 1, "state": "paused"}, refused},
			// Their own event of the same id, type and source.
			{events + "Publish", map[string]any{"events": []any{map[string]any{"id": "o1", "event_type": "order.created"}}}, fine},
		}
		// What must be said of keys, to the letter: nothing else than of a target that never was.
		noTarget := func(id string) string {
			return `{"code":"failed_precondition","message":"Target not found (` + id + `)",`
		}
		says := map[string]string{
			actions + "AddPublicKey":        noTarget("COMMAND-nd3fsd"),
			actions + "ActivatePublicKey":   noTarget("COMMAND-SAF4g"),
			actions + "DeactivatePublicKey": noTarget("COMMAND-SAF4g"),
			actions + "RemovePublicKey":     `{"deletionDate":"` + never + `"}`,
			actions + "ListPublicKeys":      `{"pagination":{"appliedLimit":"100"}}`,
		}
		for _, service := range []grpc.ServiceDesc{actionv2.ActionService_ServiceDesc, calloutv1.EventService_ServiceDesc, calloutv1.DeliveryService_ServiceDesc, calloutv1.CatalogService_ServiceDesc} {
			for _, m := range service.Methods {
				procedure := "/" + service.ServiceName + "/" + m.MethodName
				if !slices.ContainsFunc(attempts, func(a attempt) bool { return a.procedure == procedure }) {
					t.Errorf("%s is not tried", procedure)
				}
			}
		}
		for _, host := range []string{"b.example", "unknown.example"} { // another instance, and the one of all other hosts
			stranger := at(host)
			for _, a := range attempts {
				status, text := stranger.call(a.procedure, a.body)
				if !slices.Contains(a.want, status) {
					t.Errorf("%s %s %v: %d %s", host, a.procedure, a.body, status, text)
				}
				if !strings.HasPrefix(text, says[a.procedure]) {
					t.Errorf("%s %s %v: %s, want %s", host, a.procedure, a.body, text, says[a.procedure])
				}
				for _, secret := range []string{key, publicKey, "secret data", "secret-function", delivery} {
					if strings.Contains(text, secret) {
						t.Errorf("%s %s %v shows %q: %s", host, a.procedure, a.body, secret, text)
					}
				}
				if status == http.StatusOK && strings.Contains(text, id) {
					t.Errorf("%s %s %v shows the target: %s", host, a.procedure, a.body, text)
				}
			}
		}
		time.Sleep(time.Minute)
		if diff := cmp.Diff(before, view()); diff != "" {
			t.Errorf("what the owner sees (-before +after):\n%s", diff)
		}
		if n := len(b.receiver.all); n != called {
			t.Errorf("the target got %d requests more", n-called)
		}
	})
}
