package command

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

func (a *app) targetGet() *cobra.Command {
	var key bool
	cmd := &cobra.Command{
		Use:     "get ID|NAME",
		Short:   "Show a target",
		Example: "  callout target get demo --show-key",
		Args:    cobra.ExactArgs(1),
		RunE:    a.run(func(ctx context.Context, args []string) error { return a.getTarget(ctx, args[0], key) }),
	}
	cmd.Flags().BoolVar(&key, "show-key", false, "print the signing key too")
	return cmd
}

func (a *app) getTarget(ctx context.Context, reference string, key bool) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	t, err := c.target(ctx, reference)
	if err != nil {
		return err
	}
	rows := [][]string{
		{"id", t.GetId()}, {"name", t.GetName()}, {"type", typeOf(t)}, {"endpoint", t.GetEndpoint()}, {"timeout", t.GetTimeout().AsDuration().String()},
		{"interrupt", interrupts(t)}, {"payload", payloadOf(t)}, {"created", moment(t.GetCreationDate())}, {"changed", moment(t.GetChangeDate())},
	}
	if key {
		rows = append(rows, []string{"signing key", t.GetSigningKey()})
	} else {
		t.SigningKey = ""
	}
	return a.show(&actionv2.GetTargetResponse{Target: t}, rows)
}

func (a *app) targetUpdate() *cobra.Command {
	f := newTargetFlags()
	cmd := &cobra.Command{
		Use:   "update ID|NAME",
		Short: "Change a target; what no flag names stays as it is",
		Example: `  callout target update demo --endpoint https://example.org/hook --timeout 30s
  callout target update demo --interrupt=false`,
		Args: cobra.ExactArgs(1),
	}
	f.add(cmd)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.updateTarget(ctx, args[0], f, cmd.Flags().Changed)
	})
	return cmd
}

func (a *app) updateTarget(ctx context.Context, reference string, f *targetFlags, said func(flag string) bool) error {
	request := &actionv2.UpdateTargetRequest{}
	if said("name") {
		request.Name = &f.name
	}
	if said("endpoint") {
		request.Endpoint = &f.endpoint
	}
	if said("timeout") {
		request.Timeout = durationpb.New(f.timeout)
	}
	if said("payload") {
		request.PayloadType = payloadTypes[f.payload.value]
	}
	typed := said("type") || said("interrupt")
	if !typed && request.Name == nil && request.Endpoint == nil && request.Timeout == nil && request.PayloadType == 0 {
		return usageErrorf("say with a flag what to change")
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	t, err := c.target(ctx, reference)
	if err != nil {
		return err
	}
	request.Id = t.GetId()
	if typed {
		if err := f.setType(request, t, said); err != nil {
			return err
		}
	}
	answer, err := c.actions.UpdateTarget(ctx, request)
	if err != nil {
		return err
	}
	return a.show(answer, [][]string{{"id", t.GetId()}, {"changed", moment(answer.GetChangeDate())}})
}

// setType sets type and interruption, which the API takes together: what was not said of them stays as it is.
func (f *targetFlags) setType(request *actionv2.UpdateTargetRequest, t *actionv2.Target, said func(flag string) bool) error {
	if !said("type") {
		f.targetType.value = typeOf(t)
	}
	if !said("interrupt") {
		f.interrupt = interrupts(t) == "yes" && f.targetType.value != "async"
	}
	if err := f.check(); err != nil {
		return err
	}
	switch f.targetType.value {
	case "call":
		request.TargetType = &actionv2.UpdateTargetRequest_RestCall{RestCall: &actionv2.RESTCall{InterruptOnError: f.interrupt}}
	case "async":
		request.TargetType = &actionv2.UpdateTargetRequest_RestAsync{RestAsync: &actionv2.RESTAsync{}}
	default:
		request.TargetType = &actionv2.UpdateTargetRequest_RestWebhook{RestWebhook: &actionv2.RESTWebhook{InterruptOnError: f.interrupt}}
	}
	return nil
}

func (a *app) targetDelete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete ID|NAME",
		Short:   "Delete a target; what it has not received yet, it never will",
		Example: "  callout target delete demo",
		Args:    cobra.ExactArgs(1),
		RunE:    a.run(a.deleteTarget),
	}
}

func (a *app) deleteTarget(ctx context.Context, args []string) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	t, err := c.target(ctx, args[0])
	if err != nil {
		return err
	}
	answer, err := c.actions.DeleteTarget(ctx, &actionv2.DeleteTargetRequest{Id: t.GetId()})
	if err != nil {
		return err
	}
	return a.show(answer, [][]string{{"id", t.GetId()}, {"deleted", moment(answer.GetDeletionDate())}})
}

func typeOf(t *actionv2.Target) string {
	switch {
	case t.GetRestCall() != nil:
		return "call"
	case t.GetRestAsync() != nil:
		return "async"
	default:
		return "webhook"
	}
}

func interrupts(t *actionv2.Target) string {
	if t.GetRestCall().GetInterruptOnError() || t.GetRestWebhook().GetInterruptOnError() {
		return "yes"
	}
	return "no"
}

func payloadOf(t *actionv2.Target) string {
	if t.GetPayloadType() == actionv2.PayloadType_PAYLOAD_TYPE_UNSPECIFIED {
		return "json" // what unspecified is sent as
	}
	return strings.ToLower(strings.TrimPrefix(t.GetPayloadType().String(), "PAYLOAD_TYPE_"))
}
