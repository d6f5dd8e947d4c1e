package issuer_test

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/callout-dev/callout/emulator/issuer"
)

func open(f *testing.F) *issuer.Issuer {
	f.Helper()
	i, err := issuer.Open(config())
	if err != nil {
		f.Fatal(err)
	}
	return i
}

func serve(i *issuer.Issuer, method, target, body, authorization string) *http.Response {
	r := httptest.NewRequest(method, issuerURL+"/", strings.NewReader(body))
	path, query, _ := strings.Cut(target, "?")
	r.URL.Path, r.URL.RawQuery = path, query
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	return w.Result()
}

// Whoever knows no secret gets no token and an error of the RFC's shape, whatever is sent.
func FuzzToken(f *testing.F) {
	i := open(f)
	for _, body := range []string{"", "grant_type=client_credentials", "grant_type=client_credentials&client_id=admin&client_secret=x&scope=openid",
		"grant_type=" + url.QueryEscape(bearerGrant) + "&assertion=a.b.c", "grant_type=authorization_code&code=x&client_id=console", "%zz", "a=1&a=2",
		"grant_type=authorization_code&code=x&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=a.b.c",
		"grant_type=refresh_token&refresh_token=x", "scope=%00"} {
		f.Add(body, "")
		f.Add(body, "Basic YWRtaW46JTI=")
	}
	f.Fuzz(func(t *testing.T, body, authorization string) {
		response := serve(i, http.MethodPost, "/oauth/v2/token", body, authorization)
		var answer struct {
			Error string `json:"error"`
		}
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Error == "" {
			t.Errorf("no error in the answer: %v", err)
		}
		if !slices.Contains([]int{400, 401, 413}, response.StatusCode) {
			t.Errorf("status %d", response.StatusCode)
		}
	})
}

// Even what the service account itself has signed gives a token only if it says what it must.
func FuzzAssertion(f *testing.F) {
	i := open(f)
	var k keyFile
	if err := json.Unmarshal(i.ServiceAccount(), &k); err != nil {
		f.Fatal(err)
	}
	key := func(t *testing.T) *rsa.PrivateKey { return k.private(t) }
	for _, claims := range []string{"{}", "[]", "null", `{"iss":"service-account","sub":"service-account","aud":"http://127.0.0.1:8082","iat":1,"exp":99999999999}`,
		`{"iss":"service-account","sub":"service-account","aud":["http://127.0.0.1:8082"],"iat":4000000000,"exp":1e300}`, `{"iat":"now"}`, `{"aud":{}}`} {
		f.Add([]byte(claims))
	}
	f.Fuzz(func(t *testing.T, claims []byte) {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key(t), KeyID: k.KeyID}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		assertion, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		response := serve(i, http.MethodPost, "/oauth/v2/token", url.Values{"grant_type": {bearerGrant}, "assertion": {assertion}}.Encode(), "")
		switch response.StatusCode {
		case 400:
		case 200:
			var said struct{ Iss, Sub string }
			if err := json.Unmarshal(claims, &said); err != nil || said.Iss != k.UserID || said.Sub != k.UserID {
				t.Errorf("a token for %s", claims)
			}
		default:
			t.Errorf("status %d for %s", response.StatusCode, base64.StdEncoding.EncodeToString(claims))
		}
	})
}

// Whatever is asked for, a browser is sent to the sign-in page or to the console's redirect, and nowhere else.
func FuzzAuthorize(f *testing.F) {
	i := open(f)
	good := "client_id=console&response_type=code&scope=openid&redirect_uri=" + url.QueryEscape(redirectURL) +
		"&code_challenge_method=S256&code_challenge=" + strings.Repeat("a", 43)
	for _, query := range []string{"", good, good + "&state=%0d%0aLocation:x", good + "x", good + "&prompt=none", good + "&max_age=-1", good + "&ui_locales=%ff",
		strings.Replace(good, "127.0.0.1", "evil.example", 1), good + "&redirect_uri=x", good + "&request=a.b.c", good + "&response_mode=fragment"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		response := serve(i, http.MethodGet, "/oauth/v2/authorize?"+query, "", "")
		location := response.Header.Get("Location")
		switch {
		case response.StatusCode == 400 && location == "":
		case response.StatusCode == 302 && (strings.HasPrefix(location, "/signin?request=") || strings.HasPrefix(location, redirectURL+"?") ||
			strings.HasPrefix(location, redirectURL+"#")):
		default:
			t.Errorf("status %d to %q", response.StatusCode, location)
		}
	})
}
