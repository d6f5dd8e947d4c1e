package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/callout-dev/callout/functions/all"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/logging"
)

// drainTime is how long pushes and requests under way may take after a stop: less than the 10 s that a stop may take in all.
const drainTime = 7 * time.Second

// Local is a running installation.
type Local struct {
	config   Config
	ground   *ground
	clients  *env.Clients // nil where the functions run elsewhere
	backups  *backups
	api      *http.Server
	listener net.Listener
	stopTick context.CancelFunc
	stopping chan struct{}
	stopOnce sync.Once
	serving  chan error
	// File is the path of local.json, in a folder that Close removes where there is no data folder.
	File string
	// Info is what local.json holds.
	Info Info
}

// Start opens everything and returns when all of it is ready. Close it.
func Start(ctx context.Context, c Config) (*Local, error) {
	l := &Local{config: c, serving: make(chan error, 1), stopping: make(chan struct{})}
	if err := l.start(ctx); err != nil {
		return nil, errors.Join(err, l.Close(ctx))
	}
	return l, nil
}

func (l *Local) start(ctx context.Context) error {
	err := l.config.check()
	if err != nil {
		return err
	}
	if l.listener, err = l.config.listen(l.config.Listen); err != nil {
		return err
	}
	api := baseURL(l.listener.Addr())
	base := strings.TrimSuffix(l.config.Functions, "/")
	if base == "" {
		base = api
	}
	public := base
	if !takesPeople(base) {
		public = api
	}
	if l.ground, err = openGround(l.config, public); err != nil {
		return err
	}
	handler, err := l.functions(ctx)
	if err != nil {
		return err
	}
	if err := l.clients.Store.CheckSeal(ctx); err != nil {
		return fmt.Errorf("the seal key is not the one that the data was sealed with; put the right one back: %w", err)
	}
	if err := l.ground.makeTopics(ctx, base); err != nil {
		return fmt.Errorf("make topics: %w", err)
	}
	if err := l.ground.push.open(api, handler); err != nil {
		return err
	}
	if err := l.writeInfo(base); err != nil {
		return err
	}
	var tick context.Context
	tick, l.stopTick = context.WithCancel(context.WithoutCancel(ctx))
	go l.ground.tick(tick)
	l.api = host.NewServer(handler, l.config.Log)
	go func() { l.serving <- l.api.Serve(l.listener) }()
	return nil
}

// functions makes the handler of the API's port: all functions, or only the health check where they run elsewhere; and backups.
func (l *Local) functions(ctx context.Context) (http.Handler, error) {
	config, err := l.ground.environment(l.config)
	if err != nil {
		return nil, err
	}
	network := l.ground.network()
	network.Targets = l.config.Targets
	network.Own = l.ownAddresses()
	network.Stopping = l.stopping
	network.Telemetry = l.config.Telemetry
	api := &apiTransport{workers: l.ground.workers}
	network.API = api
	l.clients, err = env.Open(ctx, config, network, l.config.Log)
	if err != nil {
		return nil, err
	}
	functions := all.Functions()
	if l.config.Functions != "" {
		functions = nil
	}
	l.backups = newBackups(l.config, l.ground, l.stopping)
	functions = append(functions, l.backups.function())
	api.handler, err = host.Routes(l.clients, functions)
	return api.handler, err
}

// takesPeople says whether the console may be at a base URL: codes come back there, which do not cross a network in the clear.
func takesPeople(base string) bool {
	u, err := url.Parse(base)
	if err != nil || u.Path != "" {
		return false
	}
	return u.Scheme == "https" || u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
}

// Wait returns when serving fails, or nil when ctx ends.
func (l *Local) Wait(ctx context.Context) error {
	select {
	case err := <-l.serving:
		return err
	case err := <-l.ground.failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// Close stops in order: no more ticks, requests and pushes under way finish, then the ground goes. It takes 10 s at the longest.
func (l *Local) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	l.stopOnce.Do(func() { close(l.stopping) })
	if l.stopTick != nil {
		l.stopTick()
	}
	var problems []error
	var draining sync.WaitGroup
	if l.ground != nil {
		draining.Go(func() {
			if err := l.ground.stopPushing(ctx); err != nil { // their messages come back after the next start
				l.config.Log.WarnContext(ctx, "pushes were cut off", logging.Err, err)
			}
		})
	}
	if l.api != nil {
		if l.api.Shutdown(ctx) != nil {
			problems = append(problems, l.api.Close())
		}
	} else if l.listener != nil {
		problems = append(problems, l.listener.Close())
	}
	draining.Wait()
	if l.clients != nil {
		problems = append(problems, l.clients.Close())
	}
	if l.ground != nil {
		problems = append(problems, l.ground.close(ctx))
	}
	if l.File != "" && l.config.Data == "" {
		problems = append(problems, os.RemoveAll(filepath.Dir(l.File)))
	}
	return errors.Join(problems...)
}

// baseURL is the URL of a listener, with this machine's name where it listens everywhere.
func baseURL(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return "http://" + addr.String()
	}
	if tcp.IP.IsUnspecified() {
		return fmt.Sprintf("http://127.0.0.1:%d", tcp.Port)
	}
	return "http://" + tcp.String()
}
