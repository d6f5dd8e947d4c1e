package action_test

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/callout-dev/callout/shared/action"
)

// TestKeyIsStable pins the derivation: documents that are stored must be found again by later versions.
func TestKeyIsStable(t *testing.T) {
	var input []byte
	for _, part := range []string{"default", "urn:shop", "evt-1"} {
		input = binary.BigEndian.AppendUint32(input, uint32(len(part)))
		input = append(input, part...)
	}
	sum := sha256.Sum256(input)
	want := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:26]
	if got := action.KeyOfEvent("default", "urn:shop", "evt-1"); string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestKeysTellPartsApart(t *testing.T) {
	keys := map[string][]string{}
	for _, parts := range [][]string{{"a", "b"}, {"ab"}, {"ab", ""}, {"", "ab"}, {"a", "", "b"}, {"b", "a"}, {}, {""}, {"", ""}} {
		k := action.Key(parts...)
		if other, taken := keys[k]; taken {
			t.Errorf("%q and %q have one key", parts, other)
		}
		keys[k] = parts
	}
	one, other := action.KeyOfEvent("i", "", "x"), action.KeyOfEvent("i", "s", "x")
	if one == other || action.DeliveryOf(one, "t") == action.DeliveryOf(other, "t") {
		t.Error("the source does not count")
	}
}

func TestIDsAreValid(t *testing.T) {
	seen := map[action.TargetID]bool{}
	for range 100 {
		id := action.NewTargetID()
		if !id.Valid() || seen[id] || strings.ToLower(string(id)) != string(id) {
			t.Fatalf("made %q", id)
		}
		seen[id] = true
	}
	if e := action.NewEventID(); e.WebhookID() != string(e) {
		t.Errorf("%q cannot travel as it is", e)
	}
	if d := action.DeliveryOf("e", "t"); !d.Valid() {
		t.Errorf("%q is not valid", d)
	}
	valid := map[string]bool{
		"a": true, "273": true, "A_b-9": true, strings.Repeat("x", 200): true, "_": true,
		"": false, strings.Repeat("x", 201): false, ".": false, "..": false, "a/b": false, "a.b": false, "a b": false, "__x__": false,
		"a:b": false, "é": false, "a\x00": false, "%2f": false,
	}
	for id, want := range valid {
		if action.TargetID(id).Valid() != want || action.InstanceID(id).Valid() != want {
			t.Errorf("%.20q: want %v", id, want)
		}
	}
	for _, id := range []action.DeliveryID{"", "x", "../../targets/aaaaaaaaaaaaa", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0bcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyza"} {
		if id.Valid() {
			t.Errorf("delivery id %q is taken", id)
		}
	}
}

func TestWebhookID(t *testing.T) {
	asItIs := []string{"a", "evt_1-B:9", strings.Repeat("z", 255)}
	for _, id := range asItIs {
		if got := action.EventID(id).WebhookID(); got != id {
			t.Errorf("%.20q became %q", id, got)
		}
	}
	seen := map[string]string{}
	for _, id := range []string{"", "a.b", "a b", "é", strings.Repeat("z", 256), "a\nb", "a\x00"} {
		got := action.EventID(id).WebhookID()
		if !strings.HasPrefix(got, "x_") || len(got) != 2+43 || strings.ContainsAny(got, ".+/= \n") {
			t.Errorf("%.20q became %q", id, got)
		}
		if other, taken := seen[got]; taken {
			t.Errorf("%q and %q travel alike", id, other)
		}
		seen[got] = id
	}
	// SHA-256 of "a.b" by another hand: printf a.b | openssl dgst -sha256 -binary | basenc --base64url
	if got := action.EventID("a.b").WebhookID(); got != "x_LnM23I66h-9HLfVow1SCq_JXXcPl6sDFxiuP-urCyTQ" {
		t.Errorf("a.b became %q", got)
	}
}
