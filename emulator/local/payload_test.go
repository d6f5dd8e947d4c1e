package local_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/signature/envelope"
)

// publicPEM is the public part of a receiver's key.
func publicPEM(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// addKey gives a target a key and makes it the active one.
func (b *bench) addKey(t *testing.T, target string, key crypto.Signer, expires time.Time) string {
	t.Helper()
	path := "/v2/actions/targets/" + target + "/publickeys"
	request := map[string]any{"publicKey": publicPEM(t, key)}
	if !expires.IsZero() {
		request["expirationDate"] = expires.Format(time.RFC3339Nano)
	}
	id := b.api.must(t, 200, "POST", path, request)["keyId"].(string)
	b.api.must(t, 200, "POST", path+"/"+id+"/activate", nil)
	return id
}

func (b *bench) target(t *testing.T, name, payload string) (id, key string) {
	t.Helper()
	made := b.api.must(t, 200, "POST", "/v2/actions/targets", map[string]any{
		"name": name, "restWebhook": map[string]any{}, "timeout": "5s", "endpoint": "http://" + receiverAddress + "/" + name, "payloadType": payload,
	})
	return made["id"].(string), made["signingKey"].(string)
}

// TestPayloadForms: an event reaches three targets as JSON, JWT and JWE, and each receiver verifies it with what it gets from the API.
func TestPayloadForms(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	inBubble(t, nil, func(t *testing.T, i *installation) {
		b := newBench(t, i, nil)
		var ids []string
		signing := map[string]string{}
		for name, payload := range map[string]string{"json": "PAYLOAD_TYPE_JSON", "jwt": "PAYLOAD_TYPE_JWT", "jwe": "PAYLOAD_TYPE_JWE"} {
			id, key := b.target(t, name, payload)
			ids, signing["/"+name] = append(ids, id), key
			if name == "jwe" {
				b.addKey(t, id, private, time.Time{})
			}
		}
		b.api.must(t, 200, "PUT", "/v2/actions/executions", map[string]any{"condition": map[string]any{"event": map[string]any{"event": "order.created"}}, "targets": ids})
		b.publish(t, map[string]any{"id": "o1", "event_type": "order.created", "event_payload": json.RawMessage(`{"n":12345678901234567890}`)})
		settle(10 * time.Second)

		keys := envelope.NewPublished(i.Info.API+"/oauth/v2/keys", i.client)
		bodies := map[string]string{}
		for range 3 {
			got := <-b.receiver.all
			if err := got.verify(signing[got.Path]); err != nil {
				t.Errorf("%s: %v", got.Path, err)
			}
			if got.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s came as %s", got.Path, got.Header.Get("Content-Type"))
			}
			body, err := got.Body, error(nil)
			switch got.Path {
			case "/jwt":
				body, err = envelope.VerifyJWT(t.Context(), body, keys)
			case "/jwe":
				body, err = envelope.OpenJWE(t.Context(), body, map[string]crypto.PrivateKey{"": private}, keys)
			}
			if err != nil {
				t.Errorf("%s: %v", got.Path, err)
			}
			bodies[got.Path] = string(body)
		}
		if body := bodies["/json"]; body != bodies["/jwt"] || body != bodies["/jwe"] || !strings.Contains(body, `"event_payload":{"n":12345678901234567890}`) {
			t.Errorf("received were %q", bodies)
		}
	})
}

// TestPayloadKeysBetweenAttempts: each attempt takes the target's key of that moment. Without one, or with one that has expired, the attempt
// has failed, and the next one succeeds as soon as there is a key.
func TestPayloadKeysBetweenAttempts(t *testing.T) {
	var private []crypto.PrivateKey
	for range 2 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		private = append(private, key)
	}
	inBubble(t, nil, func(t *testing.T, i *installation) {
		b := newBench(t, i, func(n int, _ received) int { return map[bool]int{true: 503, false: 200}[n == 1] })
		id, _ := b.target(t, "jwe", "PAYLOAD_TYPE_JWE")
		b.api.must(t, 200, "PUT", "/v2/actions/executions", map[string]any{"condition": map[string]any{"event": map[string]any{"event": "a.b"}}, "targets": []string{id}})
		b.publish(t, map[string]any{"id": "e1", "event_type": "a.b"})
		settle(time.Second) // no key
		first := b.addKey(t, id, private[0].(crypto.Signer), time.Now().Add(20*time.Second))
		settle(9 * time.Second) // the second attempt is answered 503
		settle(12 * time.Second)
		// The key has expired.
		settle(30 * time.Second)
		attempts := b.delivery(t, "e1", id).Attempts
		var said []string
		for _, a := range attempts {
			said = append(said, fmt.Sprint(a.Outcome, " ", a.Error, " ", a.Status))
		}
		if got := strings.Join(said, ", "); got != "failed payload 0, failed status 503, failed payload 0" {
			t.Errorf("attempts were: %s", got)
		}
		second := b.addKey(t, id, private[1].(crypto.Signer), time.Time{})
		settle(5 * time.Minute)
		if d := b.delivery(t, "e1", id); d.State != action.Delivered || b.receiver.count() != 2 {
			t.Errorf("the delivery is %s after %d calls", d.State, b.receiver.count())
		}
		keys := envelope.NewPublished(i.Info.API+"/oauth/v2/keys", i.client)
		for n, id := range []string{first, second} {
			got := <-b.receiver.all
			if _, err := envelope.OpenJWE(t.Context(), got.Body, map[string]crypto.PrivateKey{id: private[n]}, keys); err != nil {
				t.Errorf("call %d: %v", n, err)
			}
		}
	})
}

// keyFaces are the KeyService's protocols.
func (i *installation) keyFaces(t *testing.T) []face {
	return append([]face{{"REST", "v1", func(t *testing.T, h header, _, request string) said {
		response, answer := i.post(t, http.MethodPost, "/v1/keys:rotate", h, "application/json", []byte(request))
		return saidByREST(t, response, answer)
	}}}, i.procedures(t, "callout.v1.KeyService", "v1")...)
}

// keySet reads what anybody may, and what it says of keeping it.
func (i *installation) keySet(t *testing.T, host string) (kids []string, control string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.Info.API+"/oauth/v2/keys", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := i.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var set struct{ Keys []map[string]string }
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response.StatusCode, err)
	}
	for _, k := range set.Keys {
		if k["kty"] != "RSA" || k["use"] != "sig" || k["alg"] != "RS256" || k["d"] != "" || k["p"] != "" {
			t.Errorf("published is %v", k)
		}
		kids = append(kids, k["kid"])
	}
	return kids, response.Header.Get("Cache-Control")
}

func TestKeyRotation(t *testing.T) {
	instances := func(c *local.Config) { c.Environ = []string{"CALLOUT_INSTANCES=a.example=a,b.example=b"} }
	inBubble(t, instances, func(t *testing.T, i *installation) {
		if kids, control := i.keySet(t, ""); len(kids) != 0 || control != "no-store" {
			t.Errorf("before all there are %v, %s", kids, control)
		}
		token := i.token(t, "admin")
		var first map[string]any
		for n, f := range i.keyFaces(t) {
			for who, want := range map[string]codes.Code{"viewer": codes.PermissionDenied, "nobody": codes.NotFound} {
				if got := f.call(t, i.token(t, who), "RotateKeys", `{}`); got.code != want {
					t.Errorf("%s: %s gets %v", f, who, got)
				}
			}
			if got := f.call(t, "", "RotateKeys", `{}`); got.code != codes.Unauthenticated {
				t.Errorf("%s: without a token %v", f, got)
			}
			answer := f.do(t, token, "RotateKeys", `{}`)
			keys := list(answer, "keys")
			if n == 0 {
				first = keys[0]
			}
			if len(keys) != min(n+1, 2) || keys[0]["keyId"] != first["keyId"] || keys[0]["algorithm"] != "RS256" {
				t.Errorf("%s: %v", f, keys)
			}
		}
		kids, control := i.keySet(t, "")
		if len(kids) != 2 || kids[0] != first["keyId"] || control != "max-age=300, must-revalidate" {
			t.Errorf("published are %v, %s", kids, control)
		}
		if kids, _ := i.keySet(t, "a.example"); len(kids) != 0 {
			t.Errorf("another instance has %v", kids)
		}
		var discovery map[string]any
		response, text := i.post(t, http.MethodGet, "/.well-known/openid-configuration", nil, "", nil)
		if err := json.Unmarshal(text, &discovery); err != nil || discovery["issuer"] != i.Info.API || discovery["jwks_uri"] != i.Info.API+"/oauth/v2/keys" {
			t.Errorf("%d %s", response.StatusCode, text)
		}
		if response, text := i.post(t, http.MethodPost, "/oauth/v2/keys", nil, "application/json", []byte("{}")); response.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST: %d %s", response.StatusCode, text)
		}
	})
}
