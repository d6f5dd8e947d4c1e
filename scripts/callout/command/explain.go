package command

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/callout-dev/callout/scripts/callout/access"
	"github.com/callout-dev/callout/scripts/callout/feed"
	"github.com/callout-dev/callout/scripts/callout/terminal"
)

const (
	hintToken      = "The token was not accepted: --client, --client-id, --service-account or --token say who is calling, and --issuer who vouches for it."
	hintExpired    = "The given token has ended: take a new one, or let callout get it with --client-id or --service-account."
	hintPermission = "The caller lacks the permission for this; locally --client admin has all of them."
	hintNobody     = `Is it running? Start "go run ./emulator", or say with --api and --issuer where it is.`
	hintMissing    = `Start "go run ./emulator" first (where it has another -data, say --data), or give --api and --issuer and who is calling.`
	hintDenied     = "That address is not public, or one of Callout's own. The server opens exceptions: -egress-allow, or CALLOUT_EGRESS_ALLOW."
	hintTaken      = `The name is taken: choose another one, or change that target with "callout target update".`
	hintCallout    = "Is --api the address of a Callout API?"
	hintAbsent     = `It may be gone: the commands "list" show what there is. Finished deliveries are kept for 30 days, if the installation says nothing else.`
	hintConflict   = "Somebody else changed it at the same time: look at it, and try again."
	hintLimit      = "The server takes only so many calls of one caller (CALLOUT_RATE_LIMITS there): wait, and try again."
	hintSize       = "Send it in smaller parts: a request may have 1 MiB, one of events or a catalogue 8 MiB, and an event 512 KiB."
	hintSlow       = `Is the network slow, or the server? "callout doctor" asks for each part of it.`
	hintServer     = `Try again in a moment; "callout doctor" names what does not answer, and the server's log says why.`
	hintTLS        = "Does the address begin with the right one of http:// and https://, and is its certificate one that this machine trusts?"
)

// explain words an error for people: the API's own message with its id, without the layers it came through, and what to do next.
func (a *app) explain(err error) (message, hint string) {
	if missing, ok := errors.AsType[*access.MissingError](err); ok {
		return missing.Error(), hintMissing
	}
	if refused, ok := errors.AsType[*access.RefusedError](err); ok {
		return terminal.Line(refused.Error()), hintToken
	}
	if errors.Is(err, context.Canceled) {
		return "interrupted", ""
	}
	if e, ok := errors.AsType[*connect.Error](err); ok {
		return a.explainCall(e)
	}
	if e, ok := errors.AsType[*feed.Refusal](err); ok {
		return terminal.Line(e.Message), a.hintFor(codeOf(e.Status), e.Message, true)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return explainNetwork(e)
	}
	return terminal.Line(err.Error()), ""
}

// hintFor says what to do about an answer of the API.
func (a *app) hintFor(code connect.Code, message string, detailed bool) string {
	switch {
	case code == connect.CodeUnauthenticated && a.hasEnded():
		return hintExpired
	case code == connect.CodeUnauthenticated:
		return hintToken
	case code == connect.CodePermissionDenied, strings.Contains(message, "(AUTHZ-cdgFk)"):
		return hintPermission
	case strings.Contains(message, "(COMMAND-NcJUKo)"), strings.Contains(message, "(COMMAND-jKbbu2)"):
		return hintDenied
	case strings.Contains(message, "(V3-DKcYh)"):
		return hintTaken
	case code == connect.CodeUnimplemented && !detailed:
		return hintCallout
	case code == connect.CodeNotFound:
		return hintAbsent
	case code == connect.CodeAborted:
		return hintConflict
	case code == connect.CodeResourceExhausted && strings.Contains(message, "larger than"):
		return hintSize
	case code == connect.CodeResourceExhausted:
		return hintLimit
	case code == connect.CodeDeadlineExceeded:
		return hintSlow
	case code == connect.CodeUnavailable, code == connect.CodeInternal, code == connect.CodeUnknown:
		return hintServer
	}
	return ""
}

// hasEnded says whether the user gave a token that is no good any more.
func (a *app) hasEnded() bool {
	c, err := a.choice(false)
	if err != nil || c.Token == "" {
		return false
	}
	claims, ok := access.ReadClaims(c.Token)
	return ok && !claims.Expiry.IsZero() && claims.Expiry.Before(time.Now())
}

func codeOf(status int) connect.Code {
	switch status {
	case http.StatusUnauthorized:
		return connect.CodeUnauthenticated
	case http.StatusForbidden:
		return connect.CodePermissionDenied
	case http.StatusNotFound:
		return connect.CodeUnimplemented
	case http.StatusConflict:
		return connect.CodeAborted
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return connect.CodeResourceExhausted
	case http.StatusGatewayTimeout:
		return connect.CodeDeadlineExceeded
	}
	if status >= http.StatusInternalServerError {
		return connect.CodeUnavailable
	}
	return connect.CodeInvalidArgument
}

// explainCall words the failure of a call over Connect.
func (a *app) explainCall(e *connect.Error) (message, hint string) {
	if connect.IsWireError(e) {
		return terminal.Line(e.Message()), a.hintFor(e.Code(), e.Message(), true)
	}
	if network, ok := errors.AsType[*url.Error](e); ok { // the issuer, asked for a new token
		return explainNetwork(network)
	}
	if e.Code() == connect.CodeDeadlineExceeded {
		return a.api + " does not answer in time", hintSlow
	}
	message, hint = unreachable(a.api, e.Unwrap())
	if hint == "" {
		hint = a.hintFor(e.Code(), e.Message(), false)
	}
	return message, hint
}

// explainNetwork says whom it could not reach and why, without the path.
func explainNetwork(e *url.Error) (message, hint string) {
	where := "the server"
	if u, err := url.Parse(e.URL); err == nil {
		where = u.Scheme + "://" + u.Host
	}
	if e.Timeout() {
		return where + " does not answer in time", hintSlow
	}
	return unreachable(where, e.Err)
}

// unreachable words what came in the place of an answer.
func unreachable(where string, err error) (message, hint string) {
	if network, ok := errors.AsType[*net.OpError](err); ok && network.Op == "dial" {
		return "nobody answers at " + where + ": " + terminal.Line(network.Err.Error()), hintNobody
	}
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	if record || certificate || errors.Is(err, http.ErrSchemeMismatch) {
		return terminal.Line(where + ": " + err.Error()), hintTLS
	}
	return terminal.Line(where + ": " + err.Error()), ""
}
