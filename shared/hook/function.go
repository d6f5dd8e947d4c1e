package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

const (
	// reserved are the claims that targets cannot set.
	reserved = "urn:zitadel:iam"
	// logClaim and logEnd are around a function's id in the name of the claim, or attribute, that holds its log.
	logClaim, logEnd = "urn:zitadel:iam:action:", ":log"
)

// Answer is what the targets of a function ask for; what becomes of it, Claims or Attributes say.
type Answer struct {
	function string
	asked    *calloutv1.FunctionAnswer
}

// SetMetadata keeps a value with the user that a function is about.
type SetMetadata func(ctx context.Context, key string, value []byte) error

// Function runs the execution of a function: preuserinfo, preaccesstoken, presamlresponse, or one that the host has added to the catalogue.
// Payload becomes an object in JSON: what targets receive but for "function" and "response" (actions-v2.md sections 6.4 and 6.5). The error is
// an interrupting target's, and fails whatever the function is for.
func (h *Host) Function(ctx context.Context, name string, payload any) (*Answer, error) {
	text, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("payload of function %s: %w", name, err)
	}
	if string(text) == "null" {
		text = []byte("{}")
	}
	answer, err := h.invoke(ctx, &calloutv1.InvokeRequest{Hook: &calloutv1.InvokeRequest_Function{
		Function: &calloutv1.FunctionHook{Name: name, PayloadJson: string(text)},
	}})
	if err != nil {
		return nil, err
	}
	return &Answer{function: name, asked: answer.GetFunction()}, nil
}

// Claims gives a token's claims with those that the targets add: none that is there already is overwritten, and none of the reserved names is
// taken. What could not be done, and what the targets want to be logged, is in a claim of its own. Metadata is set by set; nil sets none.
func (a *Answer) Claims(ctx context.Context, claims map[string]any, set SetMetadata) map[string]any {
	all := maps.Clone(claims)
	if all == nil {
		all = map[string]any{}
	}
	log := a.setMetadata(ctx, set)
	for _, c := range a.asked.GetAppendClaims() {
		if strings.HasPrefix(c.GetKey(), reserved) {
			continue
		}
		if _, there := all[c.GetKey()]; there {
			log = append(log, fmt.Sprintf("key %q already exists", c.GetKey()))
			continue
		}
		all[c.GetKey()] = json.RawMessage(c.GetValueJson())
	}
	if log = append(log, a.asked.GetAppendLogClaims()...); len(log) > 0 {
		all[a.logName()] = log
	}
	return all
}

// Attribute is one of a SAML assertion.
type Attribute struct {
	Name, NameFormat string
	Value            []string
}

// Attributes gives an assertion's attributes with those that the targets add: the same name overwrites.
func (a *Answer) Attributes(ctx context.Context, attributes []Attribute, set SetMetadata) []Attribute {
	all := slices.Clone(attributes)
	put := func(more Attribute) {
		if i := slices.IndexFunc(all, func(old Attribute) bool { return old.Name == more.Name }); i >= 0 {
			all[i] = more
			return
		}
		all = append(all, more)
	}
	log := a.setMetadata(ctx, set)
	for _, at := range a.asked.GetAppendAttribute() {
		if !strings.HasPrefix(at.GetName(), reserved) {
			put(Attribute{Name: at.GetName(), NameFormat: at.GetNameFormat(), Value: at.GetValue()})
		}
	}
	if log = append(log, a.asked.GetAppendLogClaims()...); len(log) > 0 {
		put(Attribute{Name: a.logName(), Value: log})
	}
	return all
}

// setMetadata gives the log entries of what could not be set.
func (a *Answer) setMetadata(ctx context.Context, set SetMetadata) []string {
	var log []string
	if set == nil {
		return nil
	}
	for _, m := range a.asked.GetSetUserMetadata() {
		if err := set(ctx, m.GetKey(), m.GetValue()); err != nil {
			log = append(log, fmt.Sprintf("failed to set user metadata key %q", m.GetKey()))
		}
	}
	return log
}

func (a *Answer) logName() string { return logClaim + "function/" + a.function + logEnd }
