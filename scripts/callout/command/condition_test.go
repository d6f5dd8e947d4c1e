package command

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

func FuzzConditionIsReadAsItIsShown(f *testing.F) {
	for _, text := range []string{"event", "event/a.b", "event/a.*", "event/.*", "request//a.B/C", "request/a.B", "response/a/b/c", "function/x", "x/y", "event/a/b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, err := parseCondition(text)
		if err != nil {
			if !isUsage(err) {
				t.Fatalf("%q: %v is no usage error", text, err)
			}
			return
		}
		second, err := parseCondition(formatCondition(first))
		if err != nil {
			t.Fatalf("%q is shown as %q, which is no condition: %v", text, formatCondition(first), err)
		}
		if diff := cmp.Diff(first, second, protocmp.Transform()); diff != "" {
			t.Errorf("%q is shown as %q (-want +got):\n%s", text, formatCondition(first), diff)
		}
	})
}
