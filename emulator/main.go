// Command emulator runs Callout on one machine: the API, all functions, Firestore, Pub/Sub and an OIDC issuer, with all data in one
// folder. The name is the folder's; it is a server for real use as much as for development.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/shared/logging"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	if err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "callout:", strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}

// garbage is how much may pile up before it is collected, in percent of what lives, unless GOGC says otherwise. What lives is some tens of
// megabytes, and nearly all else dies with its event: a few hundred megabytes spare the processor most of the collecting that Go's 100 means.
const garbage = 400

func run(ctx context.Context, args, environ []string, out, logs io.Writer) error {
	config, err := parse(args, environ, out)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	level, levelErr := logLevel(environ)
	if err := errors.Join(err, levelErr); err != nil {
		return err
	}
	config.Log = logging.New(logs, logging.Text, level)
	l, err := local.Start(ctx, config)
	if err != nil {
		return explain(err)
	}
	greet(out, config, l)
	err = l.Wait(ctx)
	watchdog := time.AfterFunc(stopTime, func() {
		fmt.Fprintln(logs, "callout: the stop took too long and was cut short; what was acknowledged is on the disk")
		os.Exit(1)
	})
	defer watchdog.Stop()
	return errors.Join(err, l.Close(ctx))
}

// stopTime is how long a stop may take in all (callout.md section 1).
const stopTime = 10 * time.Second

// parse reads the flags; each is also a variable CALLOUT_EMULATOR_<NAME>, and the flag wins.
func parse(args, environ []string, out io.Writer) (local.Config, error) {
	c := local.Config{Environ: environ}
	set := flag.NewFlagSet("emulator", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&c.Listen, "listen", "127.0.0.1:8080", "`address` of the API and the functions")
	set.StringVar(&c.Firestore, "firestore", "127.0.0.1:8081", "`address` of Firestore; empty opens no port")
	set.StringVar(&c.PubSub, "pubsub", "127.0.0.1:8085", "`address` of Pub/Sub; empty opens no port")
	set.StringVar(&c.Issuer, "issuer", "127.0.0.1:8082", "`address` of the OIDC issuer; empty opens no port")
	set.StringVar(&c.Data, "data", ".callout", "`folder` of all durable state; empty keeps everything in memory")
	set.StringVar(&c.EgressAllow, "egress-allow", local.DefaultEgressAllow, "`list` of addresses, CIDRs and hosts that targets may have besides public ones")
	set.StringVar(&c.Functions, "functions", "", "base `URL` of functions in other processes; empty runs them in this one")
	set.DurationVar(&c.History, "history", time.Minute, "how long (a `duration`) old document versions are kept for reads in the past")
	if err := fromEnvironment(set, environ); err != nil {
		return c, err
	}
	err := set.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(out, "Callout on one machine. Every flag is also a variable: -egress-allow is CALLOUT_EMULATOR_EGRESS_ALLOW.")
		set.SetOutput(out)
		set.PrintDefaults()
		return c, err
	case err != nil:
		return c, fmt.Errorf("%w; -help lists the flags", err)
	case set.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q; -help lists the flags", set.Arg(0))
	case c.Listen == "":
		return c, errors.New("-listen must not be empty")
	}
	return c, nil
}

func fromEnvironment(set *flag.FlagSet, environ []string) error {
	values := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = value
	}
	var problems []error
	set.VisitAll(func(f *flag.Flag) {
		name := "CALLOUT_EMULATOR_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value, ok := values[name]; ok {
			if err := set.Set(f.Name, value); err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", name, err))
			}
		}
	})
	return errors.Join(problems...)
}

func logLevel(environ []string) (slog.Level, error) {
	level := slog.LevelInfo
	for _, entry := range environ {
		if text, ok := strings.CutPrefix(entry, "CALLOUT_LOG_LEVEL="); ok {
			if err := level.UnmarshalText([]byte(text)); err != nil {
				return level, fmt.Errorf("CALLOUT_LOG_LEVEL: %w", err)
			}
		}
	}
	return level, nil
}

// explain adds what to do next.
func explain(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; stop what listens there, or choose another address (-help lists the flags)", err)
	}
	return err
}

// greet prints where everything is, and three lines that can be pasted.
func greet(out io.Writer, c local.Config, l *local.Local) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "  %-10s %s\n", name, value)
		}
	}
	fmt.Fprintln(out, "Callout is ready.")
	line("API", l.Info.API)
	if c.Functions == "" && l.Info.Issuer != "" {
		line("Console", l.Info.API+"/console/")
	}
	line("Issuer", l.Info.Issuer)
	line("Firestore", l.Info.Firestore)
	line("Pub/Sub", l.Info.PubSub)
	if c.Data == "" {
		line("Data", "in memory: gone when this stops")
	} else {
		line("Data", filepath.Dir(l.File))
	}
	line("Clients", l.File)
	if c.Functions != "" {
		greetFunctions(out, c, l)
		return
	}
	if l.Info.Issuer == "" {
		fmt.Fprintln(out, "\nThe issuer has no port, so that nobody outside can get a token: -issuer=ADDRESS opens one.")
		return
	}
	command := "  go run ./scripts/callout "
	if c.Data != ".callout" {
		command += "--data " + filepath.Dir(l.File) + " "
	}
	fmt.Fprintf(out, "\nIn a second terminal, a receiver:\n%slisten\n", command)
	fmt.Fprintln(out, "\nIn a third, a target, an execution and an event:")
	fmt.Fprintf(out, "%starget create --name demo --endpoint http://127.0.0.1:9000/\n", command)
	fmt.Fprintf(out, "%sexecution set event/order.created demo\n", command)
	fmt.Fprintf(out, "%sevent publish order.created --data '{\"id\":1}'\n", command)
}

// greetFunctions prints the environment that functions in other processes need.
func greetFunctions(out io.Writer, c local.Config, l *local.Local) {
	fmt.Fprintf(out, "\nPushes go to %s/push/…. The functions there need this environment:\n", c.Functions)
	for _, v := range l.Environment() {
		fmt.Fprintf(out, "  export %s\n", v)
	}
}
