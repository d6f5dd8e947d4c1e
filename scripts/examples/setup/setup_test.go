package setup_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/emulator/local/localtest"
	"github.com/callout-dev/callout/scripts/examples/setup"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	"github.com/callout-dev/callout/shared/gen/zitadel/action/v2/actionv2connect"
	"github.com/callout-dev/callout/shared/signature"
)

// TestTwoExamplesTwice: a second run finds what the first has made, and neither example takes the other's place.
func TestTwoExamplesTwice(t *testing.T) {
	localtest.Run(t, func(t *testing.T, l *localtest.Installation) {
		address, err := setup.Local(l.Data)
		if err != nil {
			t.Fatal(err)
		}
		i, err := setup.Open(t.Context(), address, l.Client)
		if err != nil {
			t.Fatal(err)
		}
		run := func(name, endpoint string) setup.Target {
			t.Helper()
			target, err := i.Target(t.Context(), &actionv2.CreateTargetRequest{
				Name: name, Endpoint: endpoint, Timeout: durationpb.New(time.Second),
				TargetType: &actionv2.CreateTargetRequest_RestWebhook{RestWebhook: &actionv2.RESTWebhook{}},
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := i.On(t.Context(), target.ID, setup.Event("user.human.added"), setup.Function("preuserinfo")); err != nil {
				t.Fatal(err)
			}
			return target
		}
		one, two := run("one", "http://127.0.0.1:9001/"), run("two", "http://127.0.0.1:9002/")
		if again := run("one", "http://127.0.0.1:9003/"); again != one || one.Key == "" || one == two {
			t.Errorf("one %v, two %v, one again %v", one, two, again)
		}
		client := &http.Client{Transport: &oauth2.Transport{Source: i.Tokens, Base: l.Client.Transport}}
		actions := actionv2connect.NewActionServiceClient(client, i.API)
		executions, err := actions.ListExecutions(t.Context(), &actionv2.ListExecutionsRequest{})
		if err != nil || len(executions.GetExecutions()) != 2 {
			t.Fatalf("%v, %v", executions, err)
		}
		for _, e := range executions.GetExecutions() {
			if diff := cmp.Diff([]string{one.ID, two.ID}, e.GetTargets()); diff != "" {
				t.Errorf("%v (-want +got):\n%s", e.GetCondition(), diff)
			}
		}
		target, err := actions.GetTarget(t.Context(), &actionv2.GetTargetRequest{Id: one.ID})
		if err != nil || target.GetTarget().GetEndpoint() != "http://127.0.0.1:9003/" {
			t.Errorf("%v, %v", target, err)
		}
	})
}

func TestVerified(t *testing.T) {
	tests := []struct {
		name, key, body, sent string
		age                   time.Duration
		status                int
	}{
		{"signed", "k", "{}", "{}", 0, 200},
		{"with another key", "l", "{}", "{}", 0, 401},
		{"another body", "k", "{}", `{"a":1}`, 0, 401},
		{"long ago", "k", "{}", "{}", time.Hour, 401},
		{"too large", "k", strings.Repeat(" ", 3<<20), strings.Repeat(" ", 3<<20), 0, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				taken := 0
				handler := setup.Verified("k", func(_ http.ResponseWriter, _ *http.Request, body []byte) {
					if taken++; !bytes.Equal(body, []byte(tt.sent)) {
						t.Errorf("%s", body)
					}
				})
				r := httptest.NewRequest("POST", "/", strings.NewReader(tt.sent))
				signature.Sign(r.Header, []string{tt.key}, "id", time.Now().Add(-tt.age), []byte(tt.body))
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != tt.status || (taken == 1) != (tt.status == 200) {
					t.Errorf("%d, taken %d times", w.Code, taken)
				}
			})
		})
	}
}

func TestNoEmulator(t *testing.T) {
	if _, err := setup.Local(t.TempDir()); err == nil || !strings.Contains(err.Error(), "go run ./emulator") {
		t.Errorf("%v", err)
	}
}
