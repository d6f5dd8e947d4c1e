// Command callout is the command line client: targets, executions and events of a Callout installation, and a receiver to try them with.
// `go run ./scripts/callout --help` says more.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/callout-dev/callout/scripts/callout/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.Run(ctx, command.Process{
		Args: os.Args[1:], In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Environ: os.Environ(),
		Terminal: term.IsTerminal(int(os.Stderr.Fd())), Screen: term.IsTerminal(int(os.Stdout.Fd())), Rows: rows,
	})
	stop()
	os.Exit(code)
}

// rows is the height of the terminal; 0 if there is none.
func rows() int {
	_, height, _ := term.GetSize(int(os.Stdout.Fd()))
	return height
}
