package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"connectrpc.com/connect"

	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/logging"
)

// message is a page that says one thing, and what to do then.
type message struct {
	Title, Text string
	// Link is where to go on, and Label what that is called.
	Link, Label string
}

var errNoPage = errs.New(errs.NotFound, "", "there is no such page")

// kindOf tells what sort of failure an error is: one of ours, or the API's.
func kindOf(err error) errs.Kind {
	if e, ok := errors.AsType[*connect.Error](err); ok {
		if strings.Contains(e.Message(), "(AUTHZ-cdgFk)") { // a caller without any role (actions-v2.md section 3.4)
			return errs.PermissionDenied
		}
		return kinds[e.Code()]
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errs.Unavailable
	}
	return errs.KindOf(err)
}

var kinds = map[connect.Code]errs.Kind{
	connect.CodeInvalidArgument:    errs.InvalidArgument,
	connect.CodeFailedPrecondition: errs.FailedPrecondition,
	connect.CodeNotFound:           errs.NotFound,
	connect.CodeAlreadyExists:      errs.AlreadyExists,
	connect.CodePermissionDenied:   errs.PermissionDenied,
	connect.CodeUnauthenticated:    errs.Unauthenticated,
	connect.CodeResourceExhausted:  errs.ResourceExhausted,
	connect.CodeUnavailable:        errs.Unavailable,
	connect.CodeDeadlineExceeded:   errs.Unavailable,
	connect.CodeCanceled:           errs.Canceled,
}

// textOf is what the API says of an error, "" where it is none of the API's.
func textOf(err error) string {
	if e, ok := errors.AsType[*connect.Error](err); ok {
		return e.Message()
	}
	return ""
}

// fail shows what went wrong and what to do about it; user is who has signed in, "" for nobody. Texts of our own errors are for the log;
// the API's are made for callers.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, user string, err error) {
	back := message{Link: root, Label: "To the overview"}
	status := http.StatusInternalServerError
	switch kindOf(err) {
	case errs.Unauthenticated:
		c.toSignIn(w, r, err)
		return
	case errs.PermissionDenied:
		status, back.Title = http.StatusForbidden, "You may not do that"
		back.Text = "Your account has no role that permits it. Whoever runs this installation can give you one; sign out and in again then."
	case errs.NotFound:
		status, back.Title, back.Text = http.StatusNotFound, "There is nothing here", "It was removed, has expired, or never was."
		if text := textOf(err); text != "" {
			back.Text = text
		}
	case errs.InvalidArgument, errs.FailedPrecondition, errs.AlreadyExists, errs.TooLarge:
		status, back.Title, back.Text = http.StatusBadRequest, "That did not work", textOf(err)
		back.Link, back.Label = referrer(r), "Back"
	case errs.ResourceExhausted:
		status, back.Title, back.Text = http.StatusTooManyRequests, "Too many requests at once", "Wait a moment, then try again."
		back.Link, back.Label = referrer(r), "Back"
	case errs.Unavailable:
		status, back.Title = http.StatusServiceUnavailable, "Something that this page needs does not answer"
		back.Text = "Try again in a moment. If it stays so, the log of the function says what it is."
		back.Link, back.Label = referrer(r), "Back"
	case errs.Canceled:
		return
	default:
		back.Title, back.Text = "Something went wrong here", "It is not your fault. The log has the details, under the id of this request."
	}
	if status >= http.StatusInternalServerError {
		c.Log.LogAttrs(r.Context(), slog.LevelError, "console", slog.String("path", r.URL.Path), slog.Any(logging.Err, err))
	}
	c.show(w, r, status, user, back)
}

// toSignIn shows the way to the issuer. Nobody is sent there by force: where the API refuses every token, that would go on for ever.
func (c *Console) toSignIn(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(err, errNoSession) {
		c.Log.InfoContext(r.Context(), "not signed in", logging.Err, err)
	}
	dropCookie(w, sessionCookie)
	to := r.URL.RequestURI()
	if r.Method != http.MethodGet {
		to = referrer(r)
	}
	query := url.Values{"to": {local(to)}}
	if r.Method != http.MethodGet || !errors.Is(err, errNoSession) {
		query.Set("signed", "over")
	}
	if strings.HasPrefix(r.URL.Path, root+"callback") {
		query = url.Values{"signed": {"failed"}}
	}
	http.Redirect(w, r, root+"?"+query.Encode(), http.StatusSeeOther)
}

// referrer is the page of ours that a request comes from.
func referrer(r *http.Request) string {
	u, err := url.Parse(r.Referer())
	if err != nil || u.Host != r.Host {
		return root
	}
	return local(u.RequestURI())
}

// denied answers a form that another site has sent.
func (c *Console) denied(w http.ResponseWriter, r *http.Request) {
	c.show(w, r, http.StatusForbidden, "", message{Title: "That came from another site",
		Text: "Nothing was changed: forms are taken from these pages alone.", Link: root, Label: "To the overview"})
}

// problems is what is wrong with the fields of a form, by their names; "" is for all of it.
type problems map[string]string

// known are refusals of the API, by a part of their text, and what a form says of them.
var known = []struct{ part, field, text string }{
	{"Errors.Target.AlreadyExists", "name", "Another target has this name."},
	{"Errors.Target.DeniedURL", "endpoint",
		"Callout may not call this address: it is not a public one, and CALLOUT_EGRESS_ALLOW does not name it."},
	{"Target is invalid", "name", "A target needs a name."},
	{"Target has no timeout", "timeout", "Say how long to wait for an answer: more than 0 s."},
	{"Target has an invalid URL", "endpoint", "This must be an http or https URL with a host and without credentials."},
	{"Target not found", "targets", "One of these targets does not exist any more. Take it out of the list."},
	{"Too many targets", "targets", "An execution has at most 100 targets."},
	{"Execution condition is invalid", "condition", ""},
	{"Key expiration date", "expires", ""},
	{"The public key is invalid", "pem", ""},
}

// refused says what of a form the API does not take; false where the error is no matter of the form.
func refused(err error, fields ...string) (problems, bool) {
	switch kindOf(err) {
	case errs.InvalidArgument, errs.AlreadyExists, errs.FailedPrecondition, errs.NotFound, errs.TooLarge:
	default:
		return nil, false
	}
	text := textOf(err)
	if text == "" {
		return nil, false
	}
	for _, k := range known {
		if strings.Contains(text, k.part) {
			if k.text != "" {
				text = k.text
			}
			return problems{k.field: text}, true
		}
	}
	for _, field := range fields {
		if strings.Contains(strings.ToLower(text), strings.ToLower(field)) {
			return problems{field: text}, true
		}
	}
	return problems{"": text}, true
}
