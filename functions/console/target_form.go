package console

import (
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

// targetForm is what a target is made of, as text.
type targetForm struct {
	// ID is empty for a new target.
	ID                      string
	Name, Endpoint, Timeout string
	Kind, Payload           string
	Interrupt               bool
	Problems                problems
}

func newTarget(v *visit) error {
	return v.page("target_form", "New target", targetForm{Timeout: "10s", Kind: "webhook", Payload: "json"})
}

func readForm(v *visit) targetForm {
	return targetForm{
		ID: v.id(), Name: v.form("name"), Endpoint: strings.TrimSpace(v.form("endpoint")), Timeout: strings.TrimSpace(v.form("timeout")),
		Kind: v.form("kind"), Payload: v.form("payload"), Interrupt: v.form("interrupt") == "on", Problems: problems{},
	}
}

// timeout reads a duration; a bare number is seconds.
func (f targetForm) timeout() *durationpb.Duration {
	text := f.Timeout
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		f.Problems["timeout"] = "This must be a duration such as 10s or 500ms."
		return nil
	}
	return durationpb.New(d)
}

var payloads = map[string]actionv2.PayloadType{
	"json": actionv2.PayloadType_PAYLOAD_TYPE_JSON, "jwt": actionv2.PayloadType_PAYLOAD_TYPE_JWT, "jwe": actionv2.PayloadType_PAYLOAD_TYPE_JWE,
}

func createTarget(v *visit) error {
	f := readForm(v)
	request := &actionv2.CreateTargetRequest{Name: f.Name, Endpoint: f.Endpoint, Timeout: f.timeout(), PayloadType: payloads[f.Payload]}
	switch f.Kind {
	case "call":
		request.TargetType = &actionv2.CreateTargetRequest_RestCall{RestCall: &actionv2.RESTCall{InterruptOnError: f.Interrupt}}
	case "async":
		request.TargetType = &actionv2.CreateTargetRequest_RestAsync{RestAsync: &actionv2.RESTAsync{}}
	default:
		request.TargetType = &actionv2.CreateTargetRequest_RestWebhook{RestWebhook: &actionv2.RESTWebhook{InterruptOnError: f.Interrupt}}
	}
	if len(f.Problems) == 0 {
		made, err := v.actions().CreateTarget(v.ctx(), request)
		if err == nil {
			return v.done(targetPath(made.Id), note{Text: "The target is there. Its signing key verifies what it receives:",
				Secret: made.SigningKey})
		}
		var ok bool
		if f.Problems, ok = refused(err, "name", "endpoint", "timeout"); !ok {
			return err
		}
	}
	return v.again("target_form", "New target", f)
}

func editTarget(v *visit) error {
	found, err := v.actions().GetTarget(v.ctx(), &actionv2.GetTargetRequest{Id: v.id()})
	if err != nil {
		return err
	}
	t := found.Target
	f := targetForm{ID: t.Id, Name: t.Name, Endpoint: t.Endpoint, Timeout: t.Timeout.AsDuration().String(), Kind: kindOfTarget(t),
		Interrupt: interrupts(t)}
	for name, payload := range payloads {
		if t.PayloadType == payload {
			f.Payload = name
		}
	}
	return v.page("target_form", "Edit "+t.Name, f)
}

func updateTarget(v *visit) error {
	f := readForm(v)
	request := &actionv2.UpdateTargetRequest{Id: f.ID, Name: &f.Name, Endpoint: &f.Endpoint, Timeout: f.timeout(),
		PayloadType: payloads[f.Payload]}
	switch f.Kind {
	case "call":
		request.TargetType = &actionv2.UpdateTargetRequest_RestCall{RestCall: &actionv2.RESTCall{InterruptOnError: f.Interrupt}}
	case "async":
		request.TargetType = &actionv2.UpdateTargetRequest_RestAsync{RestAsync: &actionv2.RESTAsync{}}
	default:
		request.TargetType = &actionv2.UpdateTargetRequest_RestWebhook{RestWebhook: &actionv2.RESTWebhook{InterruptOnError: f.Interrupt}}
	}
	if len(f.Problems) == 0 {
		_, err := v.actions().UpdateTarget(v.ctx(), request)
		if err == nil {
			return v.done(targetPath(f.ID), note{Text: "The target is saved. Every attempt from now on uses it as it is now."})
		}
		var ok bool
		if f.Problems, ok = refused(err, "name", "endpoint", "timeout"); !ok {
			return err
		}
	}
	return v.again("target_form", "Edit target", f)
}

func decimal(n int32) string { return strconv.Itoa(int(n)) }

// count reads a number that is 0 where it is left out; false where it is none.
func count(text string) (*int32, bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return new(int32(0)), true
	}
	n, err := strconv.ParseInt(text, 10, 32)
	return new(int32(n)), err == nil
}
