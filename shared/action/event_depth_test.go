package action_test

import (
	"strings"
	"testing"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// A payload that is nested too deeply is refused where it comes in: on its way it is wrapped, and JSON readers have a limit.
func TestPayloadDepth(t *testing.T) {
	nested := func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
	tests := []struct {
		name, payload string
		ok            bool
	}{
		{"as deep as may be", nested(action.MaxDepth), true},
		{"one deeper", nested(action.MaxDepth + 1), false},
		{"objects count too", strings.Repeat(`{"a":`, action.MaxDepth+1) + "1" + strings.Repeat(`}`, action.MaxDepth+1), false},
		{"brackets in a text do not", `"` + strings.Repeat(`[`, 5000) + `"`, true},
		{"nor behind an escaped quote", `"\\\"` + strings.Repeat(`[{`, 5000) + `"`, true},
		{"side by side is not deep", "[" + strings.Repeat("[],", 5000) + "[]]", true},
	}
	for _, tt := range tests {
		err := action.Occurrence{Type: "a.b", Payload: []byte(tt.payload)}.Validate()
		if tt.ok && err != nil || !tt.ok && (!errs.Is(err, errs.InvalidArgument) || !strings.Contains(err.Error(), "deep")) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
