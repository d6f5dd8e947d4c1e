package command

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/callout-dev/callout/scripts/callout/terminal"
	"github.com/callout-dev/callout/shared/action"
)

// completionTime is how long somebody who has pressed Tab waits at the most.
const completionTime = time.Second

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
