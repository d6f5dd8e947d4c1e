package local_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/client/profile"
	"golang.org/x/oauth2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/emulator/local"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

var apiScopes = []string{"openid", "urn:zitadel:iam:org:project:id:zitadel:aud"}

// serviceAccountToken gets a token as ZITADEL's SDKs do: from the key file, by a signed assertion.
func (i *installation) serviceAccountToken(t *testing.T, scopes ...string) string {
	t.Helper()
	text, err := os.ReadFile(i.Info.ServiceAccount)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Type, KeyID, Key, UserID string }
	if err := json.Unmarshal(text, &file); err != nil || file.Type != "serviceaccount" {
		t.Fatalf("the key file is of type %q, %v", file.Type, err)
	}
	source, err := profile.NewJWTProfileTokenSource(t.Context(), i.Info.Issuer, file.UserID, file.KeyID, []byte(file.Key), scopes, profile.WithHTTPClient(i.client))
	if err != nil {
		t.Fatal(err)
	}
	token, err := source.TokenCtx(context.WithValue(t.Context(), oauth2.HTTPClient, i.client))
	if err != nil {
		t.Fatal(err)
	}
	return token.AccessToken
}

// forge signs what claims says with a key.
func forge(t *testing.T, algorithm jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestWhoIsLetIn: every sort of caller, over every protocol, learns the same (actions-v2.md section 3.4).
func TestWhoIsLetIn(t *testing.T) {
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	inData := func(data string) func(*local.Config) { return func(c *local.Config) { c.Data = data } }
	inBubble(t, inData(filepath.Join(t.TempDir(), "data")), func(t *testing.T, i *installation) {
		made, err := keys()
		if err != nil {
			t.Fatal(err)
		}
		own := made[1] // the issuer's first
		good := i.serviceAccountToken(t, apiScopes...)
		parsed, err := jose.ParseSigned(good, []jose.SignatureAlgorithm{jose.RS256})
		if err != nil {
			t.Fatal(err)
		}
		payload, err := parsed.Verify(&own.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		kid := parsed.Signatures[0].Header.KeyID
		claims := func(pairs ...any) map[string]any {
			var all map[string]any
			if err := json.Unmarshal(payload, &all); err != nil {
				t.Fatal(err)
			}
			for n := 0; n < len(pairs); n += 2 {
				all[pairs[n].(string)] = pairs[n+1]
			}
			return all
		}
		public, err := x509.MarshalPKIXPublicKey(&own.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"`+kid+`"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
		now := time.Now()

		invalid := outcome{codes.Unauthenticated, "Token is invalid (AUTH-7fs1e)", "AUTH-7fs1e"}
		missing := outcome{codes.Unauthenticated, "auth header missing", ""}
		noRole := outcome{codes.NotFound, "membership not found (AUTHZ-cdgFk)", "AUTHZ-cdgFk"}
		refused := outcome{codes.PermissionDenied, "No matching permissions found (AUTH-AWfge)", "AUTH-AWfge"}
		tests := []struct {
			name, authorization string
			want                outcome
		}{
			{"the service account", "Bearer " + good, outcome{}},
			{"a client", "Bearer " + i.token(t, "admin"), outcome{}},
			{"the same claims, signed again", "Bearer " + forge(t, jose.RS256, own, kid, claims()), outcome{}},
			{"no header", "", missing},
			{"no permission", "Bearer " + i.token(t, "viewer"), refused},
			{"no role", "Bearer " + i.token(t, "nobody"), noRole},
			{"expired", "Bearer " + forge(t, jose.RS256, own, kid, claims("exp", now.Add(-time.Second).Unix())), invalid},
			{"another audience", "Bearer " + i.serviceAccountToken(t, "openid"), invalid},
			{"another issuer", "Bearer " + forge(t, jose.RS256, own, kid, claims("iss", "https://issuer.example")), invalid},
			{"alg none", "Bearer " + unsigned, invalid},
			{"HMAC with the public key", "Bearer " + forge(t, jose.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), kid, claims()), invalid},
			{"an unknown key id", "Bearer " + forge(t, jose.RS256, foreign, "unknown", claims()), invalid},
			{"a foreign key under the issuer's id", "Bearer " + forge(t, jose.RS256, foreign, kid, claims()), invalid},
			{"begins in an hour", "Bearer " + forge(t, jose.RS256, own, kid, claims("nbf", now.Add(time.Hour).Unix())), invalid},
			{"malformed", "Bearer a.b.c", invalid},
			{"cut", "Bearer " + good[:len(good)-10], invalid},
			{"an opaque one", "Bearer opaque", invalid},
			{"another scheme", "Basic YWRtaW46YWRtaW4=", invalid},
			{"the scheme alone", "Bearer", invalid},
		}
		request := &actionv2.CreateTargetRequest{TargetType: &actionv2.CreateTargetRequest_RestAsync{RestAsync: &actionv2.RESTAsync{}},
			Timeout: durationpb.New(time.Second), Endpoint: "https://192.0.2.1/"}
		calls := protocols[actionv2.CreateTargetRequest, actionv2.CreateTargetResponse](t, i, actionv2.ActionService_CreateTarget_FullMethodName, request)
		targets := 0
		check := func(t *testing.T, authorization string, want outcome) {
			t.Helper()
			header := map[string]string{}
			if authorization != "" {
				header["authorization"] = authorization
			}
			for name, call := range calls {
				targets++
				request.Name = fmt.Sprint("target ", targets)
				if _, err := call(header); learned(err) != want {
					t.Errorf("%s: got %+v", name, learned(err))
				}
			}
			targets++
			body := fmt.Sprintf(`{"name":"target %d","restAsync":{},"timeout":"1s","endpoint":"https://192.0.2.1/"}`, targets)
			if got, _ := i.byREST(t, "POST", "/v2/actions/targets", body, header); got != want {
				t.Errorf("rest: got %+v", got)
			}
		}
		for _, tt := range tests {
			t.Logf("%s", tt.name)
			check(t, tt.authorization, tt.want)
		}
		time.Sleep(time.Hour + time.Second)
		t.Log("the good token, after its hour")
		check(t, "Bearer "+good, invalid)
		check(t, "Bearer "+i.serviceAccountToken(t, apiScopes...), outcome{})
	})
}

// TestRateLimit: over the limit a caller learns in every protocol when to come again, and nobody else is held up.
func TestRateLimit(t *testing.T) {
	limited := func(c *local.Config) {
		c.Environ = []string{"CALLOUT_RATE_LIMITS=publish=2/m", "CALLOUT_INSTANCES=b.example=b"}
	}
	inBubble(t, limited, func(t *testing.T, i *installation) {
		calls := protocols[calloutv1.PublishRequest, calloutv1.PublishResponse](t, i, calloutv1.EventService_Publish_FullMethodName,
			&calloutv1.PublishRequest{Events: []*calloutv1.Event{{EventType: "order.created"}}})
		over := outcome{Code: codes.ResourceExhausted, Message: "over the limit of 2/m calls of one caller; try again later"}
		header := map[string]string{"authorization": "Bearer " + i.token(t, "admin")}
		account := map[string]string{"authorization": "Bearer " + i.serviceAccountToken(t, apiScopes...)}
		for name, call := range calls {
			for range 2 {
				if _, err := call(header); err != nil {
					t.Errorf("%s, within the limit: %v", name, err)
				}
			}
			time.Sleep(500 * time.Millisecond)
			headers, err := call(header)
			if got := learned(err); got != over || headers.Get("Retry-After") != "30" {
				t.Errorf("%s: got %+v, Retry-After %q", name, got, headers.Get("Retry-After"))
			}
			if name == "grpc-go" {
				details := status.Convert(err).Details()
				if info, ok := details[0].(*errdetails.RetryInfo); !ok || info.GetRetryDelay().AsDuration().Round(time.Millisecond) != 29500*time.Millisecond {
					t.Errorf("details %v", details)
				}
			}
			got, response := i.byREST(t, "POST", "/v1/events", `{"event_type":"order.created"}`, header)
			if got != over || response.Header.Get("Retry-After") != "30" {
				t.Errorf("rest, after %s: got %+v, Retry-After %q", name, got, response.Header.Get("Retry-After"))
			}
			if _, err := call(account); err != nil {
				t.Errorf("%s, another caller: %v", name, err)
			}
			elsewhere := maps.Clone(header)
			elsewhere["Host"] = "b.example"
			if got, _ := i.byREST(t, "POST", "/v1/events", `{"event_type":"order.created"}`, elsewhere); got != (outcome{}) {
				t.Errorf("another instance: %+v", got)
			}
			if got, _ := i.byREST(t, "POST", "/v2/actions/targets/search", `{}`, header); got != (outcome{}) {
				t.Errorf("what has no limit: %+v", got)
			}
			time.Sleep(time.Minute) // all is made good
		}
		for range 10 { // who is not known has no share to use up
			if got, _ := i.byREST(t, "POST", "/v1/events", `{}`, map[string]string{"authorization": "Bearer bad"}); got.Code != codes.Unauthenticated {
				t.Errorf("a bad token: %+v", got)
			}
		}
	})
}
