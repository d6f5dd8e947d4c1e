package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/logging"
)

func TestJSONHasCloudNamesAndContext(t *testing.T) {
	var out bytes.Buffer
	log := logging.New(&out, logging.JSON, slog.LevelInfo)
	ctx := logging.With(context.Background(), slog.String(logging.Event, "e1"))
	child := logging.With(ctx, slog.Int(logging.Attempt, 2))
	_ = logging.With(ctx, slog.String(logging.Target, "another branch"))
	log.With("a", 1).WarnContext(child, "slow")
	log.DebugContext(child, "not this one")

	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("one line of JSON: %v in %q", err, out.String())
	}
	delete(got, "time")
	want := map[string]any{"severity": "WARNING", "message": "slow", "a": 1.0, "event": "e1", "attempt": 2.0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

func TestText(t *testing.T) {
	var out bytes.Buffer
	ctx := logging.With(context.Background(), slog.String(logging.Target, "t1"))
	logging.New(&out, logging.Text, slog.LevelInfo).WithGroup("g").InfoContext(ctx, "called")
	if got := out.String(); !strings.Contains(got, "msg=called") || !strings.Contains(got, "target=t1") {
		t.Errorf("line lacks message or attribute: %q", got)
	}
}
