package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/logging"
)

// tickTime bounds the whole of a tick: the next one comes after a minute.
const tickTime = 30 * time.Second

// tick wakes the sweeper once. It has the environment of the functions.
func tick(ctx context.Context) error {
	config, err := env.Read(os.Environ())
	if err != nil {
		return fmt.Errorf("configuration:\n%w", err)
	}
	if err := config.Require(); err != nil {
		return fmt.Errorf("configuration:\n%w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, tickTime)
	defer cancel()
	clients, err := env.Open(ctx, config, env.Network{Stopping: ctx.Done()}, logging.New(os.Stderr, logging.JSON, config.LogLevel))
	if err != nil {
		return err
	}
	defer func() { _ = clients.Close() }()
	if err := clients.Queue.Wake(ctx); err != nil {
		return fmt.Errorf("publish a tick: %w", err)
	}
	return nil
}
