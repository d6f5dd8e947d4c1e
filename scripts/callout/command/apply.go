package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/scripts/callout/terminal"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

func (a *app) applyCommand() *cobra.Command {
	var file string
	var yes, prune bool
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Bring targets and executions to what a file says: shows the plan, asks, and applies it",
		Long: `Bring targets and executions to what a YAML or JSON file says: shows the plan, asks, and applies it. Targets are known by their names.
Applied again, it changes nothing. What the file does not name stays, unless --prune is given.

  targets:
    - name: audit
      endpoint: https://example.org/hook
      type: webhook      # or call, async
      timeout: 10s
      interrupt: false
      payload: json      # or jwt, jwe
  executions:
    - condition: event/order.created
      targets: [audit]`,
		Example: "  callout apply -f actions.yaml\n  callout apply -f actions.yaml --prune --yes",
		Args:    cobra.NoArgs,
		RunE:    a.run(func(ctx context.Context, _ []string) error { return a.apply(ctx, file, yes, prune) }),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", `the file; "-" is the standard input, and wants --yes`)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&prune, "prune", false, "remove the executions and delete the targets that the file does not name")
	_ = cmd.MarkFlagRequired("file") // fails only for flags that do not exist
	return cmd
}

func (a *app) apply(ctx context.Context, file string, yes, prune bool) error {
	if file == "-" && !yes {
		return usageErrorf("the standard input cannot be the file and answer the question too: give --yes")
	}
	text, err := a.readFile(file)
	if err != nil {
		return err
	}
	wanted, err := readManifest(text)
	if err != nil {
		return fmt.Errorf("%s: %s", file, err) // not wrapped: a mistake in the file is none in the command
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	now, err := c.standing(ctx)
	if err != nil {
		return err
	}
	steps, err := wanted.plan(now, prune)
	if err != nil {
		return err
	}
	if len(steps) == 0 {
		_, err := fmt.Fprintln(a.Out, "nothing to do")
		return err
	}
	for _, s := range steps {
		fmt.Fprintln(a.Out, terminal.Line(s.line))
	}
	if !yes {
		if err := a.agreed(len(steps)); err != nil {
			return err
		}
	}
	for i, s := range steps {
		if err := c.carryOut(ctx, s, now); err != nil {
			fmt.Fprintf(a.Err, "stopped at %q, %d of %d done; apply the file again for the rest\n", terminal.Line(s.line), i, len(steps))
			return err
		}
	}
	_, err = fmt.Fprintf(a.Out, "%d done\n", len(steps))
	return err
}

// agreed asks.
func (a *app) agreed(steps int) error {
	fmt.Fprintf(a.Err, "Apply these %d changes? [y/N] ", steps)
	answer, _ := bufio.NewReader(a.In).ReadString('\n') // an end without an answer is no
	if said := strings.ToLower(strings.TrimSpace(answer)); said != "y" && said != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

// standing reads all targets and executions.
func (c *connection) standing(ctx context.Context) (standing, error) {
	s := standing{targets: map[string]*actionv2.Target{}, executions: map[string][]string{}}
	targets, err := c.listTargets(ctx)
	if err != nil {
		return s, err
	}
	executions, err := c.listExecutions(ctx)
	if err != nil {
		return s, err
	}
	for _, t := range targets.GetTargets() {
		s.targets[t.GetName()] = t
	}
	for _, e := range executions.GetExecutions() {
		s.executions[formatCondition(e.GetCondition())] = e.GetTargets()
	}
	return s, nil
}

// carryOut does one step, and notes the id of a target that it made.
func (c *connection) carryOut(ctx context.Context, s step, now standing) error {
	switch {
	case s.create != nil:
		request := s.create.request()
		answer, err := c.actions.CreateTarget(ctx, request)
		if err == nil {
			now.targets[s.create.Name] = &actionv2.Target{Id: answer.GetId(), Name: s.create.Name}
		}
		return err
	case s.update != nil:
		_, err := c.actions.UpdateTarget(ctx, s.update)
		return err
	case s.remove != nil:
		_, err := c.actions.DeleteTarget(ctx, &actionv2.DeleteTargetRequest{Id: s.remove.GetId()})
		return err
	}
	condition, err := parseCondition(s.set.Condition)
	if err != nil {
		return err
	}
	request := &actionv2.SetExecutionRequest{Condition: condition}
	for _, name := range s.set.Targets {
		request.Targets = append(request.Targets, now.targets[name].GetId())
	}
	_, err = c.actions.SetExecution(ctx, request)
	return err
}

// request creates the target.
func (t *manifestTarget) request() *actionv2.CreateTargetRequest {
	timeout, _ := time.ParseDuration(t.Timeout) // checked
	request := &actionv2.CreateTargetRequest{Name: t.Name, Endpoint: t.Endpoint, Timeout: durationpb.New(timeout), PayloadType: payloadTypes[t.Payload]}
	f := targetFlags{targetType: choice{value: t.Type}, interrupt: t.Interrupt}
	f.setNewType(request)
	return request
}
