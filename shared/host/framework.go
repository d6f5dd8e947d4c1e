package host

import (
	"context"
	"net/http"
	"os"
	"sync"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/queue"
)

// FrameworkHTTP is the form in which functions-framework takes an HTTP function: clients are opened when the first request comes.
func FrameworkHTTP(f Function) func(http.ResponseWriter, *http.Request) {
	handler := sync.OnceValues(func() (http.Handler, error) {
		c, err := openFor(f)
		if err != nil {
			return nil, err
		}
		return Routes(c, []Function{f})
	})
	return func(w http.ResponseWriter, r *http.Request) {
		h, err := handler()
		if err != nil {
			http.Error(w, "the function is not configured; its log says why", http.StatusInternalServerError)
			return
		}
		h.ServeHTTP(w, r)
	}
}

// FrameworkEvent is the form in which functions-framework takes an event function. The platform has authenticated the queue then.
func FrameworkEvent(f Function) func(context.Context, cloudevents.Event) error {
	event := sync.OnceValues(func() (EventFunc, error) {
		c, err := openFor(f)
		if err != nil {
			return nil, err
		}
		return f.event(c)
	})
	return func(ctx context.Context, e cloudevents.Event) error {
		fn, err := event()
		if err != nil {
			return err
		}
		m, err := queue.DecodePush(e.Data()) // the framework keeps the body of a push as it was
		if err == nil {
			err = fn(ctx, m)
		} else {
			err = errs.Newf(errs.InvalidArgument, "not a push of Pub/Sub").Because(err)
		}
		if err != nil && !acknowledge(err) {
			return err
		}
		return nil
	}
}

func openFor(f Function) (*env.Clients, error) {
	config, err := env.Read(os.Environ())
	log := logging.New(os.Stderr, logging.JSON, config.LogLevel).With(logging.Function, f.Name)
	if err == nil {
		err = config.Require(f.Needs...)
	}
	if err != nil {
		log.Error("configuration", logging.Err, err)
		return nil, err
	}
	return env.Open(context.Background(), config, env.Network{}, log)
}
