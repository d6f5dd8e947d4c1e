package command

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/netutil"

	"github.com/callout-dev/callout/scripts/callout/receiver"
)

const (
	maxConnections  = 128
	shutdownTimeout = 5 * time.Second
)

type listenFlags struct {
	addr         string
	keys         []string
	status, once int
	quiet        bool
}

func (a *app) listenCommand() *cobra.Command {
	var f listenFlags
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Receive calls, verify their signatures and print what arrives",
		Long: `Receive calls, verify their signatures and print what arrives. The signing keys of all targets are learnt from the API, new ones when they are
needed; with --key no API is asked. What does not verify is answered 401. To try retries, answer --status 500.`,
		Example: `  callout listen
  callout listen --addr 127.0.0.1:9000 --once 1 --quiet
  callout listen --status 503 -o json`,
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error { return a.receive(ctx, f) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.addr, "addr", "127.0.0.1:9000", "HOST:PORT to listen on; port 0 is any that is free")
	flags.StringArrayVar(&f.keys, "key", nil, "signing key, or its whsec_ form, in place of those the API knows (CALLOUT_SIGNING_KEY; may be repeated)")
	flags.IntVar(&f.status, "status", http.StatusOK, "status that verified calls are answered with, 200 to 599")
	flags.IntVar(&f.once, "once", 0, "stop after this many verified calls (default: never)")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print one line for each call and no body")
	return cmd
}

func (a *app) receive(ctx context.Context, f listenFlags) error {
	if f.status < 200 || f.status > 599 {
		return usageErrorf("--status must be 200 to 599")
	}
	if f.once < 0 {
		return usageErrorf("--once must not be negative")
	}
	keys, err := a.keyring(ctx, f.keys)
	if err != nil {
		return err
	}
	listen := a.Listen
	if listen == nil {
		listen = new(net.ListenConfig).Listen
	}
	l, err := listen(ctx, "tcp", f.addr)
	if err != nil {
		return fmt.Errorf("%w; another --addr may be free", err)
	}
	more := ""
	if keys.Learns() {
		more = "; those of new targets are learnt when they call"
	}
	fmt.Fprintf(a.Err, "listening on http://%s/, %d signing keys known%s\n", l.Addr(), keys.Len(), more)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	verified := 0
	handler := &receiver.Receiver{Keys: keys, Status: f.status, Report: func(arrival receiver.Arrival) {
		a.report(arrival, f.quiet)
		if arrival.Refused == nil {
			if verified++; verified == f.once {
				stop()
			}
		}
	}}
	return serve(ctx, netutil.LimitListener(l, maxConnections), handler)
}

// serve answers until ctx ends, and then what has begun.
func serve(ctx context.Context, l net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close() // what is still open after this time is broken off
	}
	<-served
	return nil
}

// keyring knows the given keys, or learns those of all targets.
func (a *app) keyring(ctx context.Context, given []string) (*receiver.Keyring, error) {
	if key := a.Getenv("CALLOUT_SIGNING_KEY"); len(given) == 0 && key != "" {
		given = []string{key}
	}
	var keys []receiver.Key
	for _, text := range given {
		key := text
		if secret, ok := strings.CutPrefix(text, "whsec_"); ok {
			decoded, err := base64.StdEncoding.DecodeString(secret)
			if err != nil {
				return nil, usageErrorf("--key: what follows whsec_ is not base64")
			}
			key = string(decoded)
		}
		if key == "" {
			return nil, usageErrorf("--key must not be empty")
		}
		keys = append(keys, receiver.Key{Value: key})
	}
	if len(keys) > 0 {
		return receiver.NewKeyring(keys, nil), nil
	}
	c, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	ring := receiver.NewKeyring(nil, a.learnFrom(c))
	return ring, ring.Look(ctx)
}

// learnFrom reads the signing keys of all targets.
func (a *app) learnFrom(c *connection) receiver.Learn {
	return func(ctx context.Context) ([]receiver.Key, error) {
		list, err := c.listTargets(ctx)
		if err != nil {
			message, _ := a.explain(err)
			return nil, &keysError{message, err}
		}
		var keys []receiver.Key
		for _, t := range list.GetTargets() {
			if t.GetSigningKey() != "" {
				keys = append(keys, receiver.Key{Target: t.GetName(), Value: t.GetSigningKey()})
			}
		}
		if len(keys) == 0 && len(list.GetTargets()) > 0 {
			return nil, errors.New("the API shows no signing keys: give those you know with --key")
		}
		return keys, nil
	}
}

// keysError is a failure to read the keys, in the words of explain.
type keysError struct {
	message string
	err     error
}

func (e *keysError) Error() string { return e.message }
func (e *keysError) Unwrap() error { return e.err }

// report prints one call.
func (a *app) report(arrival receiver.Arrival, quiet bool) {
	if a.output.value == "yaml" {
		text, err := json.Marshal(arrival)
		if err == nil {
			err = a.showJSON(text)
		}
		if err != nil {
			a.complain(err.Error())
		}
		return
	}
	if a.output.value == "json" {
		encoder := json.NewEncoder(a.Out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(arrival); err != nil {
			a.complain(err.Error())
		}
		return
	}
	fmt.Fprintln(a.Out, arrival.Line())
	if body := arrival.Text(); !quiet && body != "" {
		fmt.Fprintln(a.Out, body)
	}
}
