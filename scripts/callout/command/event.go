package command

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/callout-dev/callout/scripts/callout/feed"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// event is one event in the reference's shape (actions-v2.md section 6.3), with an id.
type event struct {
	ID            string          `json:"id,omitempty"`
	AggregateID   string          `json:"aggregateID,omitempty"`
	AggregateType string          `json:"aggregateType,omitempty"`
	ResourceOwner string          `json:"resourceOwner,omitempty"`
	Version       string          `json:"version,omitempty"`
	Sequence      uint64          `json:"sequence,omitempty"`
	Type          string          `json:"event_type"`
	CreatedAt     string          `json:"created_at,omitempty"`
	UserID        string          `json:"userID,omitempty"`
	Payload       json.RawMessage `json:"event_payload,omitempty"`
}

func (a *app) eventPublish() *cobra.Command {
	var e event
	var data string
	cmd := &cobra.Command{
		Use:   "publish TYPE",
		Short: "Publish an event; prints its id",
		Long: `Publish an event; prints its id. Here --data is the event's payload: where the folder of local.json must be said too, its --data goes before
"event", or into CALLOUT_DATA.`,
		Example: `  callout event publish order.created --data '{"id":1}'
  callout event publish order.created --id order-1-created --aggregate-id 1 --data @order.json`,
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			e.Type = args[0]
			return a.publish(ctx, e, data)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "payload: JSON, @FILE, or - for standard input")
	f.StringVar(&e.ID, "id", "", "makes the event the same event when it is sent again (default: a new one)")
	f.StringVar(&e.AggregateID, "aggregate-id", "", "what the event happened to")
	f.StringVar(&e.AggregateType, "aggregate-type", "", "its type (default: the first segment of the event's)")
	f.StringVar(&e.ResourceOwner, "resource-owner", "", "organisation that owns it")
	f.StringVar(&e.UserID, "user-id", "", "who made the event")
	f.StringVar(&e.Version, "version", "", "version of the event's type")
	f.Uint64Var(&e.Sequence, "sequence", 0, "position among the aggregate's events")
	f.StringVar(&e.CreatedAt, "created-at", "", "when it happened, RFC 3339 (default: now)")
	return cmd
}

func (a *app) publish(ctx context.Context, e event, data string) error {
	if _, err := time.Parse(time.RFC3339Nano, e.CreatedAt); err != nil && e.CreatedAt != "" {
		return usageErrorf("--created-at must be an RFC 3339 time like 2026-01-02T03:04:05Z")
	}
	var err error
	if e.Payload, err = a.payload(data); err != nil {
		return err
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return fmt.Errorf("write the event: %w", err)
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	// The key makes a repeated request the same event where it has no id.
	ids, err := a.feed(c, nil).Publish(ctx, "application/json", body.Bytes(), rand.Text())
	if err != nil {
		return withoutIndex(err)
	}
	var rows [][]string
	for _, id := range ids {
		rows = append(rows, []string{"id", id})
	}
	return a.show(&calloutv1.PublishResponse{Ids: ids}, rows)
}

// withoutIndex drops which event of one the API speaks of.
func withoutIndex(err error) error {
	if refusal, ok := errors.AsType[*feed.Refusal](err); ok {
		if _, message, named := refusal.Index(); named {
			return &feed.Refusal{Status: refusal.Status, Message: message}
		}
	}
	return err
}

// payload is what --data says; nil for nothing.
func (a *app) payload(data string) (json.RawMessage, error) {
	text := []byte(data)
	where := "--data"
	var err error
	switch path, isFile := strings.CutPrefix(data, "@"); {
	case data == "":
		return nil, nil
	case data == "-":
		where = "standard input"
		text, err = io.ReadAll(io.LimitReader(a.In, feed.MaxBytes+1))
	case isFile:
		where = path
		text, err = readBounded(path)
	}
	if err != nil {
		return nil, usageErrorf("--data: %v", err)
	}
	if len(text) > feed.MaxBytes {
		return nil, usageErrorf("%s is larger than %d MiB", where, feed.MaxBytes>>20)
	}
	if !json.Valid(text) {
		return nil, usageErrorf("%s is not JSON; in a shell, put quotes around it: --data '{\"id\":1}'", where)
	}
	return text, nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, feed.MaxBytes+1))
}

// feed publishes through the connection and says so when it has to wait; clear is called before that.
func (a *app) feed(c *connection, clear func()) *feed.Client {
	again := func(cause error, wait time.Duration) {
		if clear != nil {
			clear()
		}
		message, _ := a.explain(cause)
		if refusal, ok := errors.AsType[*feed.Refusal](cause); ok {
			message = fmt.Sprintf("%s (%d %s)", refusal.Message, refusal.Status, http.StatusText(refusal.Status))
		}
		a.complain(fmt.Sprintf("%s; again in %v", message, wait.Round(100*time.Millisecond)))
	}
	return &feed.Client{HTTP: c.http, API: c.settings.API, Again: again}
}
