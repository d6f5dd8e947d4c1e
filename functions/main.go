// Command functions is the cloud image: it serves all functions, or the one that FUNCTION_TARGET names, on HTTP/1.1 and h2c. `functions tick`
// publishes one tick and ends: where no scheduler publishes to the topic each minute, whatever starts a program each minute will do.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/callout-dev/callout/functions/all"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/logging"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "functions:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 0:
		return serve(ctx)
	case len(args) == 1 && args[0] == "tick":
		return tick(ctx)
	default:
		return fmt.Errorf("%q is not understood: functions are served without arguments, and \"tick\" wakes the sweeper", args)
	}
}

func serve(ctx context.Context) error {
	config, err := env.Read(os.Environ())
	functions, selectErr := all.Select(config.Function)
	var needs []env.Need
	for _, f := range functions {
		needs = append(needs, f.Needs...)
	}
	if err := errors.Join(err, selectErr, config.Require(needs...)); err != nil {
		return fmt.Errorf("configuration:\n%w", err)
	}
	log := logging.New(os.Stderr, logging.JSON, config.LogLevel)
	if config.Function != "" {
		log = log.With(logging.Function, config.Function)
	}
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(int(config.Port)))
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	clients, err := env.Open(ctx, config, env.Network{Own: ownAddress(listener), Stopping: ctx.Done()}, log)
	if err != nil {
		return err
	}
	defer func() { _ = clients.Close() }()
	routes, err := host.Routes(clients, functions)
	if err != nil {
		return err
	}
	log.Info("serving", slog.String("address", listener.Addr().String()))
	return host.Serve(ctx, host.NewServer(routes, log), listener)
}

func ownAddress(listener net.Listener) []netip.AddrPort {
	if tcp, ok := listener.Addr().(*net.TCPAddr); ok {
		return []netip.AddrPort{tcp.AddrPort()}
	}
	return nil
}
