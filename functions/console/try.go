package console

import (
	"encoding/json"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// tryPage has a form for an event and one for a hook, and what came of the hook.
type tryPage struct {
	Event  eventForm
	Hook   hookForm
	Result *hookResult
}

type eventForm struct {
	Type, ID, Aggregate, Payload string
	Problems                     problems
}

type hookForm struct {
	Kind, Name, Payload, Response string
	Problems                      problems
}

// hookResult is a message before and after its targets, and what became of each of them.
type hookResult struct {
	Before, After []compared
	Changed       bool
	Execution     string
	Calls         []hookCall
	// Stopped is what the host would be told, where a target stopped the call.
	Stopped string
}

// hookCall is the call of one target, and what that is called.
type hookCall struct {
	*calloutv1.TargetCall
	Name string
}

func newTry() tryPage {
	return tryPage{
		Event: eventForm{Type: "order.created", Payload: "{\n  \"id\": 1\n}"},
		Hook:  hookForm{Kind: "request", Name: "/acme.v1.Orders/Create", Payload: "{\n  \"item\": \"x\"\n}", Response: "{}"},
	}
}

func try(v *visit) error {
	p := newTry()
	if eventType := v.form("type"); eventType != "" {
		p.Event.Type = eventType
	}
	return v.page("try", "Try it", p)
}

// sendEvent publishes an event, and goes on to what becomes of it.
func sendEvent(v *visit) error {
	p := newTry()
	p.Event = eventForm{Type: strings.TrimSpace(v.form("type")), ID: strings.TrimSpace(v.form("id")), Aggregate: v.form("aggregate"),
		Payload: v.form("payload")}
	event := &calloutv1.Event{Id: p.Event.ID, EventType: p.Event.Type, AggregateId: p.Event.Aggregate, EventPayloadJson: p.Event.Payload}
	sent, err := v.events().Publish(v.ctx(), &calloutv1.PublishRequest{Events: []*calloutv1.Event{event}})
	if err == nil {
		return v.done(explainPath(sent.Ids[0], ""), note{Text: "The event is accepted."})
	}
	var ok bool
	if p.Event.Problems, ok = refused(err, "event_type", "event_payload", "aggregateID", "id"); !ok {
		return err
	}
	return v.again("try", "Try it", p)
}

// hookTime is how long the targets of a hook may take that is tried here: less than a page may.
const hookTime = pageTime * 2 / 3

// invokeHook calls the targets of a hook, and shows the message before and after. It changes nothing here, so that the answer is the page.
func invokeHook(v *visit) error {
	p := newTry()
	p.Hook = hookForm{Kind: v.form("kind"), Name: strings.TrimSpace(v.form("name")), Payload: v.form("payload"),
		Response: v.form("response"), Problems: problems{}}
	for name, text := range map[string]string{"payload": p.Hook.Payload, "response": p.Hook.Response} {
		if (name == "payload" || p.Hook.Kind == "response") && !json.Valid([]byte(text)) {
			p.Hook.Problems[name] = "This is not JSON."
		}
	}
	if len(p.Hook.Problems) > 0 {
		return v.again("try", "Try it", p)
	}
	request := &calloutv1.InvokeRequest{Timeout: durationpb.New(hookTime)}
	before := p.Hook.Payload
	switch p.Hook.Kind {
	case "function":
		request.Hook = &calloutv1.InvokeRequest_Function{Function: &calloutv1.FunctionHook{Name: p.Hook.Name, PayloadJson: p.Hook.Payload}}
	case "response":
		before = p.Hook.Response
		request.Hook = &calloutv1.InvokeRequest_Response{Response: &calloutv1.ResponseHook{
			FullMethod: p.Hook.Name, RequestJson: p.Hook.Payload, ResponseJson: p.Hook.Response}}
	default:
		request.Hook = &calloutv1.InvokeRequest_Request{Request: &calloutv1.RequestHook{FullMethod: p.Hook.Name, RequestJson: p.Hook.Payload}}
	}
	answer, err := v.hooks().Invoke(v.ctx(), request)
	if stopped(err) {
		p.Result = &hookResult{Before: unmarked(strings.Split(pretty(before), "\n")), Stopped: textOf(err)}
		return v.page("try", "Try it", p)
	}
	if err != nil {
		var ok bool
		if p.Hook.Problems, ok = refused(err, "name", "payload", "response"); !ok {
			return err
		}
		if text, ok := p.Hook.Problems["response"]; ok && p.Hook.Kind != "response" {
			p.Hook.Problems = problems{"": text}
		}
		return v.again("try", "Try it", p)
	}
	p.Result = &hookResult{Execution: answer.Execution}
	names, err := targetsByID(v)
	if err != nil {
		return err
	}
	for _, c := range answer.Calls {
		p.Result.Calls = append(p.Result.Calls, hookCall{c, named(names, []string{c.TargetId})[0].Name})
	}
	from, to := pretty(before), pretty(after(answer))
	p.Result.Before, p.Result.After = compare(from, to)
	p.Result.Changed = from != to
	return v.page("try", "Try it", p)
}

// stopped says whether a target stopped the call, or what was made of its failure: whatever the code, that is no failure of ours.
func stopped(err error) bool {
	text := textOf(err)
	return strings.Contains(text, "(EXEC-") || strings.Contains(text, "(ACTION-4m9s2)")
}

// after is the message that a host would go on with.
func after(answer *calloutv1.InvokeResponse) string {
	switch m := answer.Message.(type) {
	case *calloutv1.InvokeResponse_RequestJson:
		return m.RequestJson
	case *calloutv1.InvokeResponse_ResponseJson:
		return m.ResponseJson
	case *calloutv1.InvokeResponse_Function:
		return protojson.Format(m.Function)
	case *calloutv1.InvokeResponse_Request:
		return protojson.Format(m.Request)
	case *calloutv1.InvokeResponse_Response:
		return protojson.Format(m.Response)
	}
	return ""
}
