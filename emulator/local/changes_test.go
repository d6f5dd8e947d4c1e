package local_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/firestore"
	documents "cloud.google.com/go/firestore/apiv1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/store"
)

// said is what a receiver got, as "type aggregateType/aggregateID payload", with names for ids.
func (r received) said(t *testing.T, names *strings.Replacer) string {
	t.Helper()
	e := r.event(t)
	return names.Replace(fmt.Sprintf("%s %s/%s %s", e.Type, e.AggregateType, e.AggregateID, e.Payload))
}

// TestItsOwnEvents: who listens to all events hears of each change of the configuration, in the reference's shape and without a secret,
// and hearing of it changes nothing further.
func TestItsOwnEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, start(t, nil), nil)
		all, allKey := b.api.route(t, "http://"+receiverAddress+"/", map[string]any{"event": map[string]any{"all": true}})
		settle(10 * time.Second) // the first two events are of the change that makes somebody listen, or of before it
		b.receiver.mu.Lock()
		b.receiver.got = nil
		b.receiver.mu.Unlock()

		made := b.api.must(t, 200, "POST", "/v2/actions/targets", map[string]any{
			"name": "one", "restCall": map[string]any{"interruptOnError": true}, "timeout": "2s", "endpoint": "http://" + receiverAddress + "/one"})
		id, key := made["id"].(string), made["signingKey"].(string)
		settle(time.Second)
		rotated := b.api.must(t, 200, "POST", "/v2/actions/targets/"+id, map[string]any{"name": "two", "expirationSigningKey": "0s"})["signingKey"].(string)
		settle(time.Second)
		b.api.must(t, 200, "POST", "/v2/actions/targets/"+id, map[string]any{"name": "two"})
		settle(time.Second)
		b.api.must(t, 200, "PUT", "/v2/actions/executions", map[string]any{
			"condition": map[string]any{"event": map[string]any{"event": "order.created"}}, "targets": []string{id}})
		settle(time.Second)
		b.api.must(t, 200, "DELETE", "/v2/actions/targets/"+id, nil)
		settle(time.Hour)

		b.receiver.mu.Lock()
		defer b.receiver.mu.Unlock()
		var got []string
		for _, r := range b.receiver.got {
			got = append(got, r.said(t, strings.NewReplacer(id, "ID", receiverAddress, "HOST")))
			for _, secret := range []string{key, rotated, allKey} {
				if strings.Contains(string(r.Body), secret) {
					t.Errorf("a signing key is in %s", r.Body)
				}
			}
			if err := r.verify(allKey); err != nil {
				t.Error(err)
			}
		}
		want := []string{
			`target.added target/ID {"name":"one","targetType":1,"endpoint":"http://HOST/one","timeout":2000000000,"interruptOnError":true,"payloadType":0}`,
			`target.changed target/ID {"name":"two"}`,
			`execution.v2.set execution/event/order.created {"targets":[{"type":2,"target":"ID"}]}`,
			`target.removed target/ID `,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		first := b.receiver.got[0]
		for _, part := range []string{`"resourceOwner":"default"`, `"instanceID":"default"`, `"version":"v1"`, `"userID":"` + b.Info.Clients["admin"].ID + `"`} {
			if !strings.Contains(string(first.Body), part) {
				t.Errorf("no %s in %s", part, first.Body)
			}
		}
		if d := b.delivery(t, first.Header.Get("webhook-id"), all); d.State != action.Delivered {
			t.Errorf("the ledger says %+v", d)
		}
	})
}

// TestSweepPublishesWhatACrashLeft: a process that stopped after its commit has told nobody, and the next tick makes up for it, once.
func TestSweepPublishesWhatACrashLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, start(t, nil), nil)
		b.api.route(t, "http://"+receiverAddress+"/", map[string]any{"event": map[string]any{"event": "target.added"}})
		settle(10 * time.Second)
		conn := b.conn(t, b.Info.Firestore)
		high, err := firestore.NewClient(t.Context(), local.Project, option.WithGRPCConn(conn), option.WithTelemetryDisabled())
		if err != nil {
			t.Fatal(err)
		}
		low, err := documents.NewClient(t.Context(), option.WithGRPCConn(conn), option.WithTelemetryDisabled())
		if err != nil {
			t.Fatal(err)
		}
		crashed := store.New(high, low, nil) // it publishes nothing
		made := action.Target{ID: "left", Name: "left", Type: action.Webhook, Timeout: time.Second, Endpoint: "https://192.0.2.1/"}
		if _, err := crashed.By("kim").CreateTarget(t.Context(), action.DefaultInstance, made); err != nil {
			t.Fatal(err)
		}
		settle(2 * time.Minute)
		b.receiver.mu.Lock()
		defer b.receiver.mu.Unlock()
		var got []string
		for _, r := range b.receiver.got {
			if e := r.event(t); e.AggregateID == "left" {
				got = append(got, e.Type)
			}
		}
		if diff := cmp.Diff([]string{"target.added"}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}
