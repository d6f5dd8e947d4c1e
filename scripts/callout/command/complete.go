package command

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/callout-dev/callout/scripts/callout/access"
	"github.com/callout-dev/callout/scripts/callout/terminal"
	"github.com/callout-dev/callout/shared/action"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	filterv2 "github.com/callout-dev/callout/shared/gen/zitadel/filter/v2"
)

const (
	// completionTime is how long somebody who has pressed Tab waits at the most.
	completionTime = time.Second
	// mostCompletions bounds what is asked of the API for them.
	mostCompletions = 100
)

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print the script that completes commands in a shell",
		Long: `Print the script that completes commands in a shell. It is for a program called callout on the PATH:
go build -o ~/.local/bin/callout ./scripts/callout

Targets, conditions, events, deliveries, keys and hosts are completed with what the API knows, as far as the flags and the environment say where
that is and who is calling; if it does not answer within a second, there are none.

  bash        source <(callout completion bash), in ~/.bashrc; needs the package bash-completion
  zsh         source <(callout completion zsh), in ~/.zshrc behind compinit
  fish        callout completion fish > ~/.config/fish/completions/callout.fish
  powershell  callout completion powershell | Out-String | Invoke-Expression, in $PROFILE`,
		Example:   "  source <(callout completion bash)\n  callout completion fish > ~/.config/fish/completions/callout.fish",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			write := map[string]func(io.Writer) error{
				"bash":       func(w io.Writer) error { return cmd.Root().GenBashCompletionV2(w, true) },
				"zsh":        cmd.Root().GenZshCompletion,
				"fish":       func(w io.Writer) error { return cmd.Root().GenFishCompletion(w, true) },
				"powershell": cmd.Root().GenPowerShellCompletionWithDesc,
			}[args[0]]
			return write(a.Out)
		},
	}
}

// source gives what may stand in a place, for what is there of it; each may have a tab and a description behind it.
type source func(ctx context.Context, c *connection, typed string) ([]string, error)

// completer makes a source cobra's. Failures are silent: nobody wants to read them in the middle of a command.
func (a *app) completer(s source) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		c, err := a.connect(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found, err := s(ctx, c, typed)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		fit := fitting(found, typed)
		if slices.ContainsFunc(fit, func(f string) bool { return strings.HasSuffix(f, "/") && !strings.Contains(f, "\t") }) { // a name is to follow
			return fit, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
		return fit, cobra.ShellCompDirectiveNoFileComp
	}
}

// fitting are those that begin as what is typed, and that can be typed at all.
func fitting(found []string, typed string) (fit []string) {
	for _, f := range found {
		word, description, described := strings.Cut(f, "\t")
		if !strings.HasPrefix(word, typed) || terminal.Line(word) != word {
			continue
		}
		if described {
			word += "\t" + terminal.Line(description)
		}
		fit = append(fit, word)
	}
	return fit
}

// complete says what may stand where, in the whole tree.
func (a *app) complete(root *cobra.Command) {
	targets, hosts := a.completer(completeTargets), a.completer(completeHosts)
	deliveries, events := a.completer(completeDeliveries), a.completer(completeEvents)
	arguments := map[string]cobra.CompletionFunc{
		"execution set":      eachArgument(a.completer(completeConditions), targets),
		"event publish":      firstArgument(events),
		"event import":       cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault), // a file
		"catalog set":        firstArgument(hosts),
		"catalog remove":     firstArgument(hosts),
		"delivery get":       firstArgument(deliveries),
		"delivery redeliver": firstArgument(deliveries),
		"key add":            firstArgument(targets),
		"key list":           firstArgument(targets),
	}
	for _, name := range []string{"get", "update", "delete", "rotate", "test", "pause", "resume", "settings"} {
		arguments["target "+name] = firstArgument(targets)
	}
	for _, name := range []string{"activate", "deactivate", "remove"} {
		arguments["key "+name] = a.completeKeys(targets)
	}
	flags := map[string]cobra.CompletionFunc{
		"target": targets, "host": hosts, "type": events, "client": a.completeClients,
		"state": cobra.FixedCompletions([]string{string(action.Pending), string(action.Retrying), string(action.Delivered), string(action.Dead), string(action.Skipped)},
			cobra.ShellCompDirectiveNoFileComp),
	}
	var visit func(cmd *cobra.Command, path string)
	visit = func(cmd *cobra.Command, path string) {
		if !cmd.HasSubCommands() && cmd.ValidArgs == nil {
			if cmd.ValidArgsFunction = arguments[path]; cmd.ValidArgsFunction == nil {
				cmd.ValidArgsFunction = cobra.NoFileCompletions
			}
		}
		cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			complete := flags[f.Name]
			if words, ok := f.Value.(*choice); ok {
				complete = cobra.FixedCompletions(words.allowed, cobra.ShellCompDirectiveNoFileComp)
			}
			if complete != nil {
				_ = cmd.RegisterFlagCompletionFunc(f.Name, complete) // fails only for flags that do not exist
			}
		})
		for _, child := range cmd.Commands() {
			visit(child, strings.TrimSpace(path+" "+child.Name()))
		}
	}
	visit(root, "")
}

// firstArgument completes one argument.
func firstArgument(first cobra.CompletionFunc) cobra.CompletionFunc {
	return eachArgument(first, cobra.NoFileCompletions)
}

// eachArgument completes the first argument and those that follow.
func eachArgument(first, others cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return first(cmd, args, typed)
		}
		return others(cmd, args, typed)
	}
}

// completeTargets are the names of targets, and the ids of those that are asked for by id or that have a name which cannot be typed.
func completeTargets(ctx context.Context, c *connection, typed string) (found []string, err error) {
	var filters []*actionv2.TargetSearchFilter
	if typed != "" {
		id := &actionv2.TargetSearchFilter{Filter: &actionv2.TargetSearchFilter_InTargetIdsFilter{InTargetIdsFilter: &actionv2.InTargetIDsFilter{TargetIds: []string{typed}}}}
		filters = append(filters, nameFilter(typed, filterv2.TextFilterMethod_TEXT_FILTER_METHOD_STARTS_WITH))
		if action.DeliveryID(typed).Valid() { // ids of targets and of deliveries have one form
			filters[0] = id
		}
	}
	page, err := c.actions.ListTargets(ctx, &actionv2.ListTargetsRequest{Pagination: &filterv2.PaginationRequest{Limit: mostCompletions}, Filters: filters})
	for _, t := range page.GetTargets() {
		if name := t.GetName(); terminal.Line(name) == name && !action.DeliveryID(typed).Valid() {
			found = append(found, name+"\t"+t.GetEndpoint())
			continue
		}
		found = append(found, t.GetId()+"\t"+t.GetName())
	}
	return found, err
}

// completeConditions are the conditions that the catalogue makes possible. The kinds come first: there are many names.
func completeConditions(ctx context.Context, c *connection, typed string) (found []string, err error) {
	kind, _, named := strings.Cut(typed, "/")
	if !named {
		return []string{"event\tall events", "event/", "request\tall requests", "request/", "response\tall responses", "response/", "function/"}, nil
	}
	names, err := c.catalog.ListCatalog(ctx, &calloutv1.ListCatalogRequest{})
	if err != nil {
		return nil, err
	}
	add := func(description string, names ...string) {
		for _, name := range names {
			found = append(found, kind+"/"+strings.TrimPrefix(name, "/")+"\t"+description)
		}
	}
	switch action.Kind(kind) {
	case action.Event:
		add("a group", groupsOf(names.GetEvents())...)
		add("an event", names.GetEvents()...)
	case action.Function:
		add("a function", names.GetFunctions()...)
	case action.Request, action.Response:
		add("a service", names.GetServices()...)
		add("a method", names.GetMethods()...)
	}
	return found, nil
}

// groupsOf are the groups of events, as conditions are written.
func groupsOf(events []string) []string {
	groups := map[string]bool{}
	for _, e := range events {
		for i := strings.LastIndexByte(e, '.'); i > 0; i = strings.LastIndexByte(e[:i], '.') {
			groups[e[:i]+".*"] = true
		}
	}
	return slices.Sorted(maps.Keys(groups))
}

func completeEvents(ctx context.Context, c *connection, _ string) ([]string, error) {
	names, err := c.catalog.ListCatalog(ctx, &calloutv1.ListCatalogRequest{})
	return names.GetEvents(), err
}

func completeHosts(ctx context.Context, c *connection, _ string) (found []string, err error) {
	names, err := c.catalog.ListCatalog(ctx, &calloutv1.ListCatalogRequest{})
	for _, h := range names.GetHosts() {
		found = append(found, h.GetHost())
	}
	return found, err
}

// completeDeliveries are the newest ones.
func completeDeliveries(ctx context.Context, c *connection, _ string) (found []string, err error) {
	page, err := c.deliveries.SearchDeliveries(ctx, &calloutv1.SearchDeliveriesRequest{PageSize: mostCompletions})
	for _, d := range page.GetDeliveries() {
		found = append(found, fmt.Sprintf("%s\t%s %s to %s", d.GetId(), d.GetState(), d.GetEventType(), shownTarget(d.GetTargetName(), d.GetTargetId())))
	}
	return found, err
}

// completeKeys completes a target, and then its public keys.
func (a *app) completeKeys(targets cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return targets(cmd, args, typed)
		case 1:
			return a.completer(func(ctx context.Context, c *connection, _ string) (found []string, err error) {
				t, err := c.target(ctx, args[0])
				if err != nil {
					return nil, err
				}
				list, err := c.listKeys(ctx, t.GetId())
				for _, k := range list.GetPublicKeys() {
					found = append(found, k.GetKeyId()+"\t"+k.GetFingerprint())
				}
				return found, err
			})(cmd, args, typed)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeClients are those of local.json that have a secret.
func (a *app) completeClients(_ *cobra.Command, _ []string, typed string) (found []string, _ cobra.ShellCompDirective) {
	choice, err := a.choice(false)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	local, _ := access.ReadLocal(choice.Data) // without one, there are none
	for _, name := range slices.Sorted(maps.Keys(local.Clients)) {
		if local.Clients[name].Secret != "" {
			found = append(found, name)
		}
	}
	return fitting(found, typed), cobra.ShellCompDirectiveNoFileComp
}
