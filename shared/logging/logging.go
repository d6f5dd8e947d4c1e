// Package logging sets up slog: JSON with Cloud Logging's field names, or text for people, and attributes that travel in a context so
// that every line of a request or a delivery carries them.
package logging

import (
	"context"
	"io"
	"log/slog"
)

// Keys that log lines share across packages. One name each, so that they can be searched for.
const (
	Event     = "event"
	Target    = "target"
	Delivery  = "delivery"
	Attempt   = "attempt"
	Outcome   = "outcome"
	Took      = "took"
	Request   = "request"
	Function  = "function"
	Execution = "execution"
	Err       = "error"
	Trace     = "trace_id"
	Span      = "span_id"
)

// Format is how lines are written.
type Format string

// The formats: JSON for log collectors, Text for a terminal.
const (
	JSON Format = "json"
	Text Format = "text"
)

// New makes a logger that writes to w and adds what With put into the context.
func New(w io.Writer, format Format, level slog.Leveler) *slog.Logger {
	if format == JSON {
		return slog.New(contextHandler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: cloudNames})})
	}
	return slog.New(contextHandler{slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})})
}

// Discard is a logger that writes nothing.
func Discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// cloudNames renames slog's own fields to those that Cloud Logging reads: severity and message.
func cloudNames(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.LevelKey:
		a.Key = "severity"
		if a.Value.Any() == slog.LevelWarn {
			a.Value = slog.StringValue("WARNING")
		}
	case slog.MessageKey:
		a.Key = "message"
	}
	return a
}

type attrsKey struct{}

// With returns a context whose log lines carry attrs, after those that are already there.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	old, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	return context.WithValue(ctx, attrsKey{}, append(old[:len(old):len(old)], attrs...))
}

type contextHandler struct{ slog.Handler }

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	if attrs, ok := ctx.Value(attrsKey{}).([]slog.Attr); ok {
		r.AddAttrs(attrs...)
	}
	return h.Handler.Handle(ctx, r)
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name)}
}
