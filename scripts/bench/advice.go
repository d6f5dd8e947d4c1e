package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/callout-dev/callout/scripts/callout/access"
)

// advise adds to an error of the way to the API what to do about it.
func advise(err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("interrupted: %w", err)
	}
	if _, refused := errors.AsType[*access.RefusedError](err); refused {
		return fmt.Errorf("%w\n-client-id and CALLOUT_CLIENT_SECRET must be of a client that -issuer knows", err)
	}
	if network, ok := errors.AsType[*net.OpError](err); ok && network.Op == "dial" {
		return fmt.Errorf("%w\nis it running? -data, or -api and -issuer, say where it is", err)
	}
	return err
}

// adviceFor is what to do about an answer of the API that is a refusal; empty where its own words are enough.
func adviceFor(status int, text string) string {
	switch {
	case status == http.StatusUnauthorized:
		return "\nthe token is not taken: -issuer must be the one that the installation trusts (CALLOUT_ISSUER)"
	case status == http.StatusForbidden:
		return "\nthe client lacks a permission: it makes and removes targets and executions, publishes events and asks for hooks"
	case status == http.StatusTooManyRequests:
		return "\nthe installation limits this caller (CALLOUT_RATE_LIMITS): raise that, or lower -rate, or -senders and -batch"
	case strings.Contains(text, "(COMMAND-NcJUKo)"):
		return "\nthe installation may not call this program: open its address with CALLOUT_EGRESS_ALLOW there, or give a public one with -receiver"
	}
	return ""
}
