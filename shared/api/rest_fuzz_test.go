package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/logging"
)

// fakeKeys is PublicKeys that does as it is told.
type fakeKeys struct{}

func (fakeKeys) AddKey(_ context.Context, _ auth.Caller, _ action.TargetID, k action.PublicKey) (action.PublicKey, error) {
	return k, nil
}

func (fakeKeys) ActivateKey(context.Context, auth.Caller, action.TargetID, action.PublicKeyID) (time.Time, error) {
	return time.Unix(1735787045, 0), nil
}

func (fakeKeys) DeactivateKey(context.Context, auth.Caller, action.TargetID, action.PublicKeyID) (time.Time, error) {
	return time.Unix(1735787045, 0), nil
}

func (fakeKeys) RemoveKey(context.Context, auth.Caller, action.TargetID, action.PublicKeyID) (time.Time, error) {
	return time.Time{}, nil
}

func (fakeKeys) ListKeys(context.Context, auth.Caller, action.TargetID, action.PublicKeyQuery) ([]action.PublicKey, int, error) {
	return nil, 0, nil
}

// FuzzREST: whatever the method, path, query and body are, the answer is 200 with JSON, or an error in the shape of actions-v2.md section
// 3.2 with the status of its code, and it comes soon.
func FuzzREST(f *testing.F) {
	for _, seed := range [][3]string{
		{"POST", "v2/actions/targets", create},
		{"POST", "v2beta/actions/targets", `{"name":"n","rest_webhook":{"interrupt_on_error":true},"timeout":"270s","endpoint":"http://a:1/"}`},
		{"POST", "v2/actions/targets/t1", `{"expirationSigningKey":"0s","restAsync":{},"payloadType":2}`},
		{"GET", "v2/actions/targets/t1?id=t2&x.y=z", ``},
		{"DELETE", "v2/actions/targets/%2F?id=", ``},
		{"POST", "v2/actions/targets/search", `{"pagination":{"offset":"18446744073709551615","limit":1000,"asc":true},"sortingColumn":"TARGET_FIELD_NAME_URL","filters":[{"targetNameFilter":{"targetName":"%","method":5}},{"inTargetIdsFilter":{"targetIds":["a"]}}]}`},
		{"POST", "v2/actions/targets/t1/publickeys", `{"publicKey":"AA==","expirationDate":"9999-12-31T23:59:59Z"}`},
		{"PUT", "v2/actions/targets/t1/publickeys/k/activate", ``},
		{"POST", "v2/actions/targets/t1/publickeys/k/deactivate", `{}`},
		{"DELETE", "v2/actions/targets/t1/publickeys/k", ``},
		{"POST", "v2/actions/targets/t1/publickeys/search", `{"filters":[{"expirationDateFilter":{"timestamp":"0001-01-01T00:00:00Z"}},{"activeFilter":true},{"keyIdsFilter":{"ids":["k"]}}]}`},
		{"PUT", "v2/actions/executions", `{"condition":{"event":{"group":"a.*"}},"targets":["t","t"]}`},
		{"POST", "v2beta/actions/executions/search", `{"filters":[{"inConditionsFilter":{"conditions":[{"function":{"name":"f"}},{"request":{"method":"/a/b"}}]}},{"executionTypeFilter":{"executionType":1}}]}`},
		{"GET", "v2/actions/executions/methods", ``},
		{"PATCH", "v2//actions/../targets", `[1]`},
		{"POST", "v2/actions/targets:x", `{"a":`},
		{"get", "", `null`},
	} {
		f.Add(seed[0], seed[1], []byte(seed[2]))
	}
	border := Border{Guard: ownerGuard(f), Log: logging.Discard()}
	targets, err := border.ServeTargets(&fakeTargets{PublicKeys: fakeKeys{}})
	if err != nil {
		f.Fatal(err)
	}
	executions, err := border.ServeExecutions(&fakeExecutions{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, target string, body []byte) {
		at, err := url.ParseRequestURI("/" + target)
		if err != nil || !clean(at.Path) { // no server takes it
			return
		}
		for _, h := range []http.Handler{targets, executions} {
			r, err := http.NewRequestWithContext(t.Context(), method, at.String(), bytes.NewReader(body))
			if err != nil {
				return
			}
			r.Header.Set("Content-Type", "application/json")
			if !isREST(r) { // the other faces'
				return
			}
			w := httptest.NewRecorder()
			start := time.Now()
			h.ServeHTTP(w, r)
			if took := time.Since(start); took > time.Second {
				t.Errorf("%s %s took %s", method, target, took)
			}
			wantShape(t, w)
		}
	})
}

// clean says whether a path reaches the API: the server refuses double slashes and dot segments before.
func clean(p string) bool {
	cleaned := path.Clean("/" + p)
	return p == cleaned || p == strings.TrimSuffix(cleaned, "/")+"/"
}

func wantShape(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var answer struct {
		Code    codes.Code
		Message string
	}
	err := json.Unmarshal(w.Body.Bytes(), &answer)
	status := httpStatusOf[answer.Code]
	switch {
	case w.Code == http.StatusOK && answer.Code == codes.OK:
		status = http.StatusOK
	case w.Code == http.StatusMethodNotAllowed && answer.Code == codes.Unimplemented, w.Code == http.StatusRequestEntityTooLarge && answer.Code == codes.ResourceExhausted:
		status = w.Code
	}
	if err != nil || w.Code != status || w.Code != http.StatusOK && answer.Message == "" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got %d %v %q, %v", w.Code, w.Header(), w.Body, err)
	}
}
