package engine

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// Answer is what the targets of a function ask for (actions-v2.md sections 6.4 and 6.5), in the order in which they did.
type Answer struct {
	SetUserMetadata []Metadata  `json:"set_user_metadata,omitempty"`
	AppendClaims    []Claim     `json:"append_claims,omitempty"`
	AppendLogClaims []string    `json:"append_log_claims,omitempty"`
	AppendAttribute []Attribute `json:"append_attribute,omitempty"`
}

// maxAsked is how many of each the targets of one call may ask for.
const maxAsked = 1000

// Metadata is a value to be kept with the user.
type Metadata struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

// Claim goes into a token; its value is any JSON.
type Claim struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// Attribute goes into a SAML assertion.
type Attribute struct {
	Name       string   `json:"name"`
	NameFormat string   `json:"name_format,omitempty"`
	Value      []string `json:"value"`
}

// forwarding is how a target says what the caller is to be told.
type forwarding struct {
	Code    int    `json:"forwardedStatusCode"`
	Message string `json:"forwardedErrorMessage"`
}

// forwarded reads an error that a target means for the caller; nil where the answer is none.
func forwarded(answer []byte, cut bool) error {
	if cut || !bytes.Contains(answer, []byte("orwarded")) || !isObject(answer) {
		return nil
	}
	var f forwarding
	if err := json.Unmarshal(answer, &f); err != nil || f.Code == 0 && f.Message == "" {
		return nil
	}
	message := errs.Brief(f.Message)
	if f.Code < 400 || f.Code > 499 {
		return errs.New(errs.FailedPrecondition, "EXEC-bmhNhpcqpF", message)
	}
	return errs.New(forwardedKind(f.Code), "EXEC-reUaUZCzCp", message)
}

func forwardedKind(code int) errs.Kind {
	switch code {
	case http.StatusBadRequest:
		return errs.InvalidArgument
	case http.StatusUnauthorized:
		return errs.Unauthenticated
	case http.StatusForbidden:
		return errs.PermissionDenied
	case http.StatusNotFound:
		return errs.NotFound
	case http.StatusConflict:
		return errs.AlreadyExists
	case http.StatusTooManyRequests:
		return errs.ResourceExhausted
	default:
		return errs.Unknown
	}
}

// apply lets an answer change what it may change. An answer that is refused changes nothing.
func (c *chain) apply(answer []byte) error {
	if len(bytes.TrimSpace(answer)) == 0 {
		return nil
	}
	if c.hook.Kind == action.Function {
		return c.result.Answer.add(answer)
	}
	if !json.Valid(answer) || !utf8.Valid(answer) {
		return errMessage
	}
	if isObject(c.result.Message) && !isObject(answer) {
		return errMessage
	}
	if c.hook.Check != nil {
		if err := c.hook.Check(answer); err != nil {
			return errMessage.Because(err)
		}
	}
	c.result.Message = bytes.TrimSpace(answer)
	return nil
}

// add takes over what one more target asks for. What was asked for already, by a target that repeats what it was told, is not asked for twice.
func (a *Answer) add(text []byte) error {
	var more Answer
	if !isObject(text) || !utf8.Valid(text) {
		return errAnswer
	}
	if err := json.Unmarshal(text, &more); err != nil {
		return errAnswer.Because(err)
	}
	for _, m := range more.SetUserMetadata {
		if m.Key == "" {
			return errAnswer
		}
	}
	for _, claim := range more.AppendClaims {
		if claim.Key == "" || len(claim.Value) == 0 {
			return errAnswer
		}
	}
	for _, attribute := range more.AppendAttribute {
		if attribute.Name == "" {
			return errAnswer
		}
	}
	if max(len(more.SetUserMetadata), len(more.AppendClaims), len(more.AppendLogClaims), len(more.AppendAttribute)) > maxAsked {
		return errTooLarge
	}
	merged := Answer{
		SetUserMetadata: merge(a.SetUserMetadata, more.SetUserMetadata, func(x, y Metadata) bool { return x.Key == y.Key && bytes.Equal(x.Value, y.Value) }),
		AppendClaims:    merge(a.AppendClaims, more.AppendClaims, func(x, y Claim) bool { return x.Key == y.Key && bytes.Equal(x.Value, y.Value) }),
		AppendLogClaims: merge(a.AppendLogClaims, more.AppendLogClaims, func(x, y string) bool { return x == y }),
		AppendAttribute: merge(a.AppendAttribute, more.AppendAttribute, func(x, y Attribute) bool {
			return x.Name == y.Name && x.NameFormat == y.NameFormat && slices.Equal(x.Value, y.Value)
		}),
	}
	if max(len(merged.SetUserMetadata), len(merged.AppendClaims), len(merged.AppendLogClaims), len(merged.AppendAttribute)) > maxAsked {
		return errTooLarge
	}
	whole, err := json.Marshal(merged)
	if err != nil {
		return errAnswer.Because(err)
	}
	if len(whole) > MaxMessage {
		return errTooLarge
	}
	*a = merged
	return nil
}

func merge[T any](old, more []T, same func(T, T) bool) []T {
	merged := slices.Clip(old)
	for _, m := range more {
		if !slices.ContainsFunc(old, func(o T) bool { return same(o, m) }) {
			merged = append(merged, m)
		}
	}
	return merged
}

// isObject says whether JSON, or what looks like it, begins as an object.
func isObject(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == '{'
}
