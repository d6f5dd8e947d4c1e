package access

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	localJSON = `{"api":"http://127.0.0.1:8080/","issuer":"http://127.0.0.1:8082","clients":{"admin":{"id":"a","secret":"s"},"console":{"id":"console"}},"later":1}`
	keyJSON   = `{"type":"serviceaccount","keyId":"k","key":"pem","userId":"u"}`
)

func folder(t *testing.T, local string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"local.json": local, "key.json": keyJSON} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSettle(t *testing.T) {
	dir := folder(t, localJSON)
	const api, issuer = "http://127.0.0.1:8080", "http://127.0.0.1:8082"
	tests := map[string]struct {
		choice Choice
		want   Settings
	}{
		"all from local.json": {Choice{Data: dir, Client: "admin"}, Settings{API: api, Issuer: issuer, Who: "client a", client: Client{"a", "s"}}},
		"another name of this machine": {Choice{Data: dir, Client: "admin", API: "http://localhost:8080"},
			Settings{API: "http://localhost:8080", Issuer: issuer, Who: "client a", client: Client{"a", "s"}}},
		"a token and an API": {Choice{Data: "/nowhere", API: "https://api/base/", Token: "t"}, Settings{API: "https://api/base", Who: "the given token", token: "t"}},
		"a token alone":      {Choice{Data: dir, Token: "t"}, Settings{API: api, Issuer: issuer, Who: "the given token", token: "t"}},
		"everything said": {Choice{Data: "/nowhere", API: "https://api", Issuer: "https://id", ClientID: "c", ClientSecret: "d"},
			Settings{API: "https://api", Issuer: "https://id", Who: "client c", client: Client{"c", "d"}}},
		"a service account": {Choice{Data: dir, ServiceAccount: filepath.Join(dir, "key.json")},
			Settings{API: api, Issuer: issuer, Who: "service account u", account: &serviceAccount{"serviceaccount", "k", "pem", "u"}}},
		"a token is all that is wanted": {Choice{Data: "/nowhere", Issuer: "https://id", ClientID: "c", ClientSecret: "d", WithoutAPI: true},
			Settings{Issuer: "https://id", Who: "client c", client: Client{"c", "d"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.choice.Settle()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(Settings{}), cmp.AllowUnexported(serviceAccount{})); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSettleRefuses(t *testing.T) {
	dir := folder(t, localJSON)
	tests := map[string]struct {
		choice Choice
		says   string
	}{
		"a public client":                     {Choice{Data: dir, Client: "console"}, "no such client with a secret"},
		"credentials in the URL":              {Choice{Data: dir, Token: "t", API: "http://u:p@h"}, "--api"},
		"a query in the URL":                  {Choice{Data: dir, Token: "t", API: "http://h?x"}, "--api"},
		"another scheme":                      {Choice{Data: dir, Token: "t", API: "ftp://h"}, "--api"},
		"an issuer in the clear":              {Choice{Data: dir, Issuer: "http://10.0.0.1", ClientID: "c", ClientSecret: "d"}, "loopback"},
		"local secrets for a far API":         {Choice{Data: dir, Client: "admin", API: "http://127.0.0.1.example.org"}, "alone"},
		"local secrets for another's issuer":  {Choice{Data: dir, Client: "admin", Issuer: "http://127.0.0.1:9"}, "alone"},
		"half a client":                       {Choice{Data: dir, ClientID: "c"}, "--client-secret"},
		"the other half":                      {Choice{Data: dir, ClientSecret: "c"}, "--client-id"},
		"local secrets for a far API, masked": {Choice{Data: dir, Client: "admin", API: "https://localhost.example.org"}, "alone"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := test.choice.Settle()
			if _, ok := errors.AsType[*ChoiceError](err); !ok || !strings.Contains(err.Error(), test.says) {
				t.Errorf("the error is %v, want a choice error with %q", err, test.says)
			}
		})
	}
}

func TestReadLocal(t *testing.T) {
	if _, err := ReadLocal(t.TempDir()); !isMissing(err) {
		t.Errorf("an empty folder: %v", err)
	}
	for name, text := range map[string]string{"not JSON": "{", "of something else": `{"a":1}`, "too large": strings.Repeat(" ", maxFile+1)} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadLocal(folder(t, text))
			if err == nil || isMissing(err) || !strings.Contains(err.Error(), "local.json is") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func isMissing(err error) bool {
	_, ok := errors.AsType[*MissingError](err)
	return ok
}
