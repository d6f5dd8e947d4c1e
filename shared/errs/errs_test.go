package errs_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/callout-dev/callout/shared/errs"
)

func TestError(t *testing.T) {
	cause := errors.New("disk on fire")
	missing := errs.New(errs.NotFound, "QUERY-1", "Target not found")
	tests := []struct {
		name         string
		err          error
		kind         errs.Kind
		public, text string
	}{
		{"with id", missing, errs.NotFound, "Target not found (QUERY-1)", "Target not found (QUERY-1)"},
		{"without id", errs.Newf(errs.InvalidArgument, "events[%d]: no type", 3), errs.InvalidArgument, "events[3]: no type", "events[3]: no type"},
		{"with cause", missing.Because(cause), errs.NotFound, "Target not found (QUERY-1)", "Target not found (QUERY-1): disk on fire"},
		{"wrapped", fmt.Errorf("get target: %w", missing), errs.NotFound, "Target not found (QUERY-1)", "get target: Target not found (QUERY-1)"},
		{"plain", cause, errs.Internal, "", "disk on fire"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := errs.KindOf(tt.err); got != tt.kind {
				t.Errorf("kind: got %q, want %q", got, tt.kind)
			}
			if got := tt.err.Error(); got != tt.text {
				t.Errorf("text: got %q, want %q", got, tt.text)
			}
			if e, ok := errs.As(tt.err); ok && e.Public() != tt.public {
				t.Errorf("public text: got %q, want %q", e.Public(), tt.public)
			}
		})
	}
	long := errs.Newf(errs.InvalidArgument, "%s", strings.Repeat("é", 100_000)).Public()
	if len(long) > 1010 || !strings.HasSuffix(long, "é…") || !utf8.ValidString(long) {
		t.Errorf("a message that quotes 200 kB has %d bytes", len(long))
	}
	if missing.Cause != nil {
		t.Error("Because changed the error it was called on")
	}
	if !errors.Is(missing.Because(cause), cause) {
		t.Error("the cause is not in the chain")
	}
	if errs.Is(nil, errs.Internal) {
		t.Error("nil is of a kind")
	}
}
