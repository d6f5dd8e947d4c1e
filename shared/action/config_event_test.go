package action_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
)

// TestConfigEvents are in the shapes of actions-v2.md section 4.5, and of names that may be conditions.
func TestConfigEvents(t *testing.T) {
	catalogue, err := action.BuiltinCatalogue(action.Strict)
	if err != nil {
		t.Fatal(err)
	}
	secret := action.Target{ID: "t", Name: "n <&>", Type: action.Async, InterruptOnError: true, Timeout: 1500 * time.Millisecond, Endpoint: "https://e/?a&b",
		PayloadType: action.PayloadJWE, SigningKeys: []action.SigningKey{{Value: "s3cret"}}}
	with := func(edit func(*action.Target)) action.ConfigEvent {
		changed := secret
		edit(&changed)
		return action.TargetChanged(secret, changed)
	}
	key := action.PublicKey{ID: "k", PEM: []byte("pem"), Fingerprint: "SHA256:f"}
	expiring := key
	expiring.Expires = time.Date(2027, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	tests := []struct {
		event         action.ConfigEvent
		name, payload string
	}{
		{action.TargetAdded(secret), "target.added",
			`{"name":"n <&>","targetType":2,"endpoint":"https://e/?a&b","timeout":1500000000,"interruptOnError":true,"payloadType":3}`},
		{action.TargetAdded(action.Target{Name: "n", Type: action.Webhook}), "target.added",
			`{"name":"n","targetType":0,"endpoint":"","timeout":0,"interruptOnError":false,"payloadType":0}`},
		{with(func(x *action.Target) { x.Name = "m" }), "target.changed", `{"name":"m"}`},
		{with(func(x *action.Target) { x.Type, x.InterruptOnError = action.Webhook, false }), "target.changed", `{"targetType":0,"interruptOnError":false}`},
		{with(func(x *action.Target) {
			x.Type, x.Timeout, x.Endpoint, x.PayloadType = action.Call, time.Second, "http://f", action.PayloadJSON
		}), "target.changed", `{"targetType":1,"endpoint":"http://f","timeout":1000000000,"payloadType":1}`},
		{with(func(x *action.Target) { x.SigningKeys = []action.SigningKey{{Value: "an0ther"}} }), "target.changed", `{}`},
		{action.TargetRemoved(), "target.removed", ``},
		{action.KeyAdded(key), "target.key.added", `{"keyId":"k","publicKey":"cGVt","fingerprint":"SHA256:f"}`},
		{action.KeyAdded(expiring), "target.key.added", `{"keyId":"k","publicKey":"cGVt","fingerprint":"SHA256:f","expirationDate":"2027-01-02T02:04:05Z"}`},
		{action.KeyActivated("k"), "target.key.activated", `{"keyId":"k"}`},
		{action.KeyDeactivated("k"), "target.key.deactivated", `{"keyId":"k"}`},
		{action.KeyRemoved("k"), "target.key.removed", `{"keyId":"k"}`},
		{action.ExecutionSet([]action.TargetID{"a", "b"}), "execution.v2.set", `{"targets":[{"type":2,"target":"a"},{"type":2,"target":"b"}]}`},
		{action.ExecutionSet(nil), "execution.v2.set", `{"targets":[]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name+tt.payload, func(t *testing.T) {
			payload, err := tt.event.JSON()
			if diff := cmp.Diff([]string{tt.name, tt.payload}, []string{tt.event.Type, string(payload)}); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if slices.ContainsFunc([]string{"s3cret", "an0ther"}, func(s string) bool { return strings.Contains(string(payload), s) }) {
				t.Error("there is a secret in it")
			}
			condition, err := action.ParseExecutionID(action.ExecutionID("event/" + tt.event.Type))
			if err != nil || catalogue.Check(condition) != nil {
				t.Errorf("it may not be a condition: %v", err)
			}
		})
	}
}

// TestOfChange: everything of the event that is not in its payload comes from the change, and the same from the same one.
func TestOfChange(t *testing.T) {
	c := action.Change{Instance: "i", Kind: action.ChangeExecution, ID: "event/a.b", Key: "k1"}
	got := action.Occurrence{Type: "execution.v2.set", UserID: "u"}.OfChange(c)
	want := action.Occurrence{Instance: "i", ID: "change-k1", Type: "execution.v2.set", UserID: "u", AggregateID: "event/a.b", AggregateType: "execution",
		ResourceOwner: "i", Version: "v1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
