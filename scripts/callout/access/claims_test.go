package access

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadClaims(t *testing.T) {
	jwt := func(payload string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
	}
	for name, tt := range map[string]struct {
		token string
		want  Claims
		ok    bool
	}{
		"all of it":    {jwt(`{"iss":"https://i","aud":["a","b"],"iat":1000,"exp":4600,"more":1}`), Claims{"https://i", []string{"a", "b"}, time.Unix(1000, 0), time.Unix(4600, 0)}, true},
		"one audience": {jwt(`{"aud":"a"}`), Claims{Audience: []string{"a"}}, true},
		"opaque":       {"abc", Claims{}, false},
		"not JSON":     {"a.b.c", Claims{}, false},
		"an array":     {jwt(`[]`), Claims{}, false},
		"a wrong time": {jwt(`{"exp":"soon"}`), Claims{}, false},
	} {
		got, ok := ReadClaims(tt.token)
		if diff := cmp.Diff(tt.want, got); diff != "" || ok != tt.ok {
			t.Errorf("%s: %v (-want +got):\n%s", name, ok, diff)
		}
	}
}

func TestMissingSaysWhatElseToGive(t *testing.T) {
	for says, c := range map[string]Choice{
		"there is no /nowhere/local.json": {Client: "admin"},
		"--issuer":                        {API: "https://a", ClientID: "c", ClientSecret: "d"},
		"--api":                           {Token: "t"},
		"who is calling (--client-id, --service-account or --token)": {API: "https://a", Issuer: "https://i", Client: "admin"},
	} {
		c.Data = "/nowhere"
		_, err := c.Settle()
		if missing, ok := errors.AsType[*MissingError](err); !ok || !strings.HasSuffix(err.Error(), says) {
			t.Errorf("%q: %v, %+v", says, err, missing)
		}
	}
}
