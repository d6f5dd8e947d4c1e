package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

func (a *app) exportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Print targets and executions as a file that apply takes",
		Long: `Print targets and executions as a file that apply takes, here or in another installation. Signing keys, public keys and the rules of
delivery are not in it. With --api and --token it reads any system that speaks the Action Service API.`,
		Example: `  callout export > actions.yaml
  callout --api https://zitadel.example.org --token "$TOKEN" export > actions.yaml`,
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error { return a.export(ctx) }),
	}
}

func (a *app) export(ctx context.Context) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	now, err := c.standing(ctx)
	if err != nil {
		return err
	}
	m, err := now.manifest()
	if err != nil {
		return err
	}
	text, err := yaml.Marshal(m)
	if err != nil {
		return err
	}
	_, err = a.Out.Write(text)
	return err
}

// manifest is the file that brings an installation to what stands, in the order of names and of conditions.
func (s standing) manifest() (m manifest, err error) {
	names := map[string]string{} // by id
	for name, t := range s.targets {
		names[t.GetId()] = name
		m.Targets = append(m.Targets, manifestTarget{Name: name, Endpoint: t.GetEndpoint(), Type: typeOf(t), Timeout: t.GetTimeout().AsDuration().String(),
			Interrupt: interrupts(t) == "yes", Payload: payloadOf(t)})
	}
	slices.SortFunc(m.Targets, func(a, b manifestTarget) int { return strings.Compare(a.Name, b.Name) })
	for condition, ids := range s.executions {
		e := manifestExecution{Condition: condition}
		for _, id := range ids {
			if names[id] == "" {
				return m, fmt.Errorf("%s calls %q, which is no target: remove that, and export again", condition, id)
			}
			e.Targets = append(e.Targets, names[id])
		}
		m.Executions = append(m.Executions, e)
	}
	slices.SortFunc(m.Executions, func(a, b manifestExecution) int { return strings.Compare(a.Condition, b.Condition) })
	return m, nil
}
