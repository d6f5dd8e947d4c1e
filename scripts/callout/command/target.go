package command

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	filterv2 "github.com/callout-dev/callout/shared/gen/zitadel/filter/v2"
)

// targetFlags describe a target.
type targetFlags struct {
	name, endpoint string
	targetType     choice
	payload        choice
	timeout        time.Duration
	interrupt      bool
}

func newTargetFlags() *targetFlags {
	return &targetFlags{
		targetType: choice{value: "webhook", allowed: []string{"webhook", "call", "async"}},
		payload:    choice{value: "json", allowed: []string{"json", "jwt", "jwe"}},
	}
}

func (f *targetFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "name, its own in the installation")
	flags.StringVar(&f.endpoint, "endpoint", "", "URL that is called, http or https")
	flags.Var(&f.targetType, "type", "webhook: only the status counts; call: the answer replaces the payload; async: nobody waits")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "how long a call may take, up to 270s")
	flags.BoolVar(&f.interrupt, "interrupt", false, "a failure stops what called it")
	flags.Var(&f.payload, "payload", "json: plain; jwt: signed; jwe: signed and encrypted")
}

// check finds what cannot be before the API is asked.
func (f *targetFlags) check() error {
	if f.targetType.value == "async" && f.interrupt {
		return usageErrorf("--interrupt: nobody waits for an async target, so it cannot interrupt")
	}
	return nil
}

var payloadTypes = map[string]actionv2.PayloadType{
	"json": actionv2.PayloadType_PAYLOAD_TYPE_JSON,
	"jwt":  actionv2.PayloadType_PAYLOAD_TYPE_JWT,
	"jwe":  actionv2.PayloadType_PAYLOAD_TYPE_JWE,
}

func (a *app) targetCreate() *cobra.Command {
	f := newTargetFlags()
	cmd := &cobra.Command{
		Use:   "create --name NAME --endpoint URL",
		Short: "Create a target; prints its id and its signing key",
		Example: `  callout target create --name demo --endpoint http://127.0.0.1:9000/
  callout target create --name guard --endpoint https://example.org/guard --type call --interrupt --timeout 2s`,
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error { return a.createTarget(ctx, f) }),
	}
	f.add(cmd)
	_ = cmd.MarkFlagRequired("name") // fails only for flags that do not exist
	_ = cmd.MarkFlagRequired("endpoint")
	return cmd
}

func (a *app) createTarget(ctx context.Context, f *targetFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	request := &actionv2.CreateTargetRequest{Name: f.name, Endpoint: f.endpoint, Timeout: durationpb.New(f.timeout), PayloadType: payloadTypes[f.payload.value]}
	f.setNewType(request)
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	answer, err := c.actions.CreateTarget(ctx, request)
	if err != nil {
		return err
	}
	return a.show(answer, [][]string{{"id", answer.GetId()}, {"signing key", answer.GetSigningKey()}})
}

// setNewType sets type and interruption.
func (f *targetFlags) setNewType(request *actionv2.CreateTargetRequest) {
	switch f.targetType.value {
	case "call":
		request.TargetType = &actionv2.CreateTargetRequest_RestCall{RestCall: &actionv2.RESTCall{InterruptOnError: f.interrupt}}
	case "async":
		request.TargetType = &actionv2.CreateTargetRequest_RestAsync{RestAsync: &actionv2.RESTAsync{}}
	default:
		request.TargetType = &actionv2.CreateTargetRequest_RestWebhook{RestWebhook: &actionv2.RESTWebhook{InterruptOnError: f.interrupt}}
	}
}

func (a *app) targetList() *cobra.Command {
	var name string
	var keys bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List targets",
		Example: "  callout target list --name order\n  callout target list --watch",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVar(&name, "name", "", "only those whose name holds this text")
	cmd.Flags().BoolVar(&keys, "show-keys", false, "print the signing keys too")
	return a.watchable(cmd, func(ctx context.Context, c *connection, _ []string) error {
		var filters []*actionv2.TargetSearchFilter
		if name != "" {
			filters = append(filters, nameFilter(name, filterv2.TextFilterMethod_TEXT_FILTER_METHOD_CONTAINS_IGNORE_CASE))
		}
		return a.showTargets(ctx, c, keys, filters)
	})
}

func (a *app) showTargets(ctx context.Context, c *connection, keys bool, filters []*actionv2.TargetSearchFilter) error {
	list, err := c.listTargets(ctx, filters...)
	if err != nil {
		return err
	}
	rows := [][]string{{"ID", "NAME", "TYPE", "ENDPOINT", "TIMEOUT", "INTERRUPT", "PAYLOAD", "CHANGED"}}
	if keys {
		rows[0] = append(rows[0], "SIGNING KEY")
	}
	for _, t := range list.GetTargets() {
		row := []string{t.GetId(), t.GetName(), typeOf(t), t.GetEndpoint(), t.GetTimeout().AsDuration().String(), interrupts(t), payloadOf(t), moment(t.GetChangeDate())}
		if keys {
			row = append(row, t.GetSigningKey())
		} else {
			t.SigningKey = ""
		}
		rows = append(rows, row)
	}
	return a.show(list, rows)
}
