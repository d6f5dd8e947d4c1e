// Package setup is what the examples have in common: where the installation is, a target and executions of their own in it, and servers.
package setup

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/oauth2"

	"github.com/callout-dev/callout/shared/hook"
)

// Program is what an example serves, by address, and what it says then.
type Program struct {
	Serves map[string]http.Handler
	Says   string
}

// Main runs an example until it is interrupted. The flags that all have are added to its own.
func Main(start func(context.Context, *Installation) (Program, error)) {
	data := flag.String("data", ".callout", "`folder` with the emulator's local.json")
	api := flag.String("api", "", "`URL` of another installation's API; needs -issuer and -key")
	issuer := flag.String("issuer", "", "`URL` of its issuer")
	key := flag.String("key", "", "`file` of a service account's key")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, start, *data, Address{API: *api, Issuer: *issuer, ServiceAccount: *key}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, start func(context.Context, *Installation) (Program, error), data string, a Address) error {
	if a.API == "" {
		var err error
		if a, err = Local(data); err != nil {
			return err
		}
	}
	i, err := Open(ctx, a, http.DefaultClient)
	if err != nil {
		return err
	}
	program, err := start(ctx, i)
	if err != nil {
		return err
	}
	return program.serve(ctx)
}

// Address says where an installation is, and who calls it.
type Address struct {
	API    string `json:"api"`
	Issuer string `json:"issuer"`
	// ServiceAccount is the path of a key file.
	ServiceAccount string `json:"serviceAccount"`
}

// Local is the address of an emulator, by its data folder.
func Local(data string) (Address, error) {
	text, err := os.ReadFile(filepath.Join(data, "local.json"))
	if errors.Is(err, os.ErrNotExist) {
		return Address{}, fmt.Errorf("no emulator has its data in %s: start it with go run ./emulator, or say where it is with -data", data)
	}
	var a Address
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	return a, err
}

// Installation is a Callout that an example uses.
type Installation struct {
	API string
	// Tokens are for its API, and Client makes connections without them.
	Tokens oauth2.TokenSource
	Client *http.Client
}

// Open prepares calls to an installation, and makes none.
func Open(ctx context.Context, a Address, client *http.Client) (*Installation, error) {
	key, err := os.ReadFile(a.ServiceAccount)
	if err != nil {
		return nil, fmt.Errorf("the service account's key: %w", err)
	}
	tokens, err := hook.ServiceAccount(context.WithValue(ctx, oauth2.HTTPClient, client), a.Issuer, key)
	if err != nil {
		return nil, err
	}
	return &Installation{API: a.API, Tokens: tokens, Client: client}, nil
}

// Hooks is the installation as a host sees it: what it asks, and where it publishes.
func (i *Installation) Hooks() *hook.Installation { return hook.Remote(i.API, i.Tokens, i.Client) }

// serve returns when ctx ends and what was under way is done, or when an address cannot be listened at.
func (p Program) serve(ctx context.Context) error {
	failed := make(chan error, len(p.Serves))
	var servers []*http.Server
	for address, handler := range p.Serves {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		servers = append(servers, server)
		go func() { failed <- server.Serve(listener) }()
	}
	fmt.Println(p.Says)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var problems []error
	for _, server := range servers {
		problems = append(problems, server.Shutdown(ctx))
	}
	return errors.Join(problems...)
}
