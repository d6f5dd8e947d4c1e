package access

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestComplete(t *testing.T) {
	all := map[string]string{"CALLOUT_DATA": "d", "CALLOUT_TOKEN": "t", "CALLOUT_CLIENT_ID": "c", "CALLOUT_CLIENT_SECRET": "s"}
	tests := map[string]struct {
		said Choice
		env  map[string]string
		want Choice
	}{
		"nobody says anything":        {Choice{}, nil, Choice{Data: ".callout", Client: "admin"}},
		"the environment alone":       {Choice{}, all, Choice{Data: "d", Token: "t", ClientID: "c", ClientSecret: "s", Client: "admin"}},
		"a folder that is said":       {Choice{Data: "e"}, map[string]string{"CALLOUT_DATA": "d"}, Choice{Data: "e", Client: "admin"}},
		"a client without its secret": {Choice{ClientID: "mine"}, all, Choice{Data: "d", ClientID: "mine", ClientSecret: "s", Client: "admin"}},
		"a secret without its client": {Choice{ClientSecret: "mine"}, all, Choice{Data: "d", ClientID: "c", ClientSecret: "mine", Client: "admin"}},
		"a client of local.json":      {Choice{Client: "viewer"}, all, Choice{Data: "d", Client: "viewer"}},
		"a token":                     {Choice{Token: "mine"}, all, Choice{Data: "d", Token: "mine", Client: "admin"}},
	}
	for name, tt := range tests {
		got, err := tt.said.Complete(func(key string) string { return tt.env[key] })
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	_, err := Choice{Token: "t", ClientID: "c"}.Complete(func(string) string { return "" })
	if _, ok := errors.AsType[*ChoiceError](err); !ok {
		t.Errorf("two callers: %v", err)
	}
}
