// Package command is the command line: what each command is called, what it takes, does and prints.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/callout-dev/callout/scripts/callout/terminal"
	"github.com/callout-dev/callout/shared/egress"
)

// The exit codes. Scripts rely on them; the help of callout itself is where they are written down.
const (
	ExitFine   = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// Process is the world that a command runs in.
type Process struct {
	// Args are the arguments without the program's name.
	Args     []string
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	// Environ are all variables, as os.Environ has them, for the one command that works without the API.
	Environ []string
	// Terminal: Err is a terminal, where a progress bar may move. Screen: Out is one, where text may be redrawn.
	Terminal, Screen bool
	// Rows is the height of that screen; nil if nobody knows.
	Rows func() int
	// Dial and Listen are the network; nil is the real one.
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	// Resolver finds the addresses of names for doctor; nil is the system's.
	Resolver egress.Resolver
}

// app is one run of the program.
type app struct {
	Process
	flags   flags
	output  choice
	network *http.Transport
	// paint colours what goes to Out, and alarm what goes to Err.
	paint, alarm terminal.Palette
	// api is its address, once that is known.
	api string
	// began: the command line was understood.
	began bool
}

// Run runs one command and returns its exit code. When ctx ends, what runs is broken off; listen ends in good order.
func Run(ctx context.Context, p Process) int {
	if p.Getenv("TERM") == "dumb" { // it knows no sequences
		p.Terminal, p.Screen = false, false
	}
	coloured := p.Getenv("NO_COLOR") == ""
	a := &app{Process: p, paint: terminal.Palette(p.Screen && coloured), alarm: terminal.Palette(p.Terminal && coloured), output: choice{value: "table", allowed: []string{"table", "json", "yaml"}}}
	a.network = &http.Transport{DialContext: p.Dial, Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute}
	defer a.network.CloseIdleConnections()
	root := a.root()
	root.SetArgs(append([]string{}, p.Args...)) // nil would be os.Args
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	called, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitFine
	}
	message, hint := a.explain(err)
	a.complain(message)
	if hint != "" {
		fmt.Fprintln(p.Err, hint)
	}
	if !a.began || isUsage(err) {
		fmt.Fprintf(p.Err, "%q says how it is used.\n", called.CommandPath()+" --help")
		return ExitUsage
	}
	return ExitFailed
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "callout",
		Short: "Targets, executions, events and deliveries of a Callout installation",
		Long: `callout is the command line client of Callout. Beside a running "go run ./emulator" it finds the API and its credentials by itself, in
.callout/local.json; for any other installation say --api, --issuer and who is calling.

Exit codes:
  0  fine; also when "listen", "tail" or --watch was interrupted
  1  it failed, wholly or in part: a call, a line of an import, a check of "doctor"
  2  the command was not understood, and nothing was done

Tables are for people, and coloured on a terminal unless NO_COLOR is set or TERM is dumb; for programs there are -o json and -o yaml.`,
		Example: `  callout target create --name demo --endpoint http://127.0.0.1:9000/
  callout execution set event/order.created demo
  callout event publish order.created --data '{"id":1}'`,
		SilenceErrors:    true,
		SilenceUsage:     true,
		TraverseChildren: true, // --data before "event publish" is the folder, behind it the payload
	}
	root.CompletionOptions.DisableDefaultCmd = true // ours has a help like all others
	f := root.PersistentFlags()
	f.StringVar(&a.flags.data, "data", "", "folder of the local.json that a server on this machine writes (CALLOUT_DATA; default .callout)")
	f.StringVar(&a.flags.api, "api", "", "base URL of the API (default: local.json's)")
	f.StringVar(&a.flags.issuer, "issuer", "", "URL of the OpenID Connect issuer (default: local.json's)")
	f.StringVar(&a.flags.client, "client", "", "call as one of local.json's clients: admin, viewer or nobody (default admin)")
	f.StringVar(&a.flags.clientID, "client-id", "", "call as this OAuth2 client (CALLOUT_CLIENT_ID)")
	f.StringVar(&a.flags.clientSecret, "client-secret", "", "the client's secret; better in CALLOUT_CLIENT_SECRET")
	f.StringVar(&a.flags.serviceAccount, "service-account", "", "call as the service account of this key file")
	f.StringVar(&a.flags.token, "token", "", "call with this access token; better in CALLOUT_TOKEN")
	f.VarP(&a.output, "output", "o", "table, or json or yaml: the API's answer")
	a.group(root, a.tokenCommand(),
		a.group(&cobra.Command{Use: "target", Short: "Where and how to call"},
			a.targetCreate(), a.targetList(), a.targetGet(), a.targetUpdate(), a.targetDelete(),
			a.targetRotate(), a.targetTest(), a.targetPause(), a.targetResume(), a.targetSettings()),
		a.group(&cobra.Command{Use: "key", Short: "Public keys of targets"},
			a.keyAdd(), a.keyList(), a.keyActivate(), a.keyDeactivate(), a.keyRemove()),
		a.group(&cobra.Command{Use: "web-key", Short: "Keys that sign payloads of the types JWT and JWE"},
			a.webKeyList(), a.webKeyRotate()),
		a.group(&cobra.Command{Use: "execution", Short: "When to call which targets"},
			a.executionSet(), a.executionList()),
		a.group(&cobra.Command{Use: "catalog", Short: "Names that may be conditions"},
			a.catalogList(), a.catalogSet(), a.catalogRemove()),
		a.group(&cobra.Command{Use: "event", Short: "Events to deliver"},
			a.eventPublish(), a.eventImport()),
		a.group(&cobra.Command{Use: "delivery", Short: "What became of events"},
			a.deliveryList(), a.deliveryGet(), a.deliveryRedeliver(), a.deliveryTail(), a.deliveryExplain()),
		a.applyCommand(), a.exportCommand(), a.listenCommand(), a.backupCommand(), a.restoreCommand(), a.resealCommand(), a.doctorCommand(),
		a.completionCommand())
	a.complete(root)
	return root
}

// complain says what is wrong.
func (a *app) complain(message string) {
	fmt.Fprintln(a.Err, a.alarm.Paint(terminal.Red, "callout:"), terminal.Line(message))
}

// group gives a command its subcommands. By itself it only says which there are.
func (a *app) group(parent *cobra.Command, children ...*cobra.Command) *cobra.Command {
	parent.SuggestionsMinimumDistance = 2
	parent.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		text := fmt.Sprintf("%s knows no %q", cmd.CommandPath(), args[0])
		if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
			text += "; did you mean " + strings.Join(similar, " or ") + "?"
		}
		return usageErrorf("%s", text)
	}
	parent.RunE = func(cmd *cobra.Command, _ []string) error {
		cmd.SetOut(a.Err)
		return errors.Join(cmd.Help(), usageErrorf("%s needs to be told what to do", cmd.CommandPath()))
	}
	parent.AddCommand(children...)
	return parent
}

// run makes a command's function of one that needs no cobra.
func (a *app) run(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.began = true
		return do(cmd.Context(), args)
	}
}
