// Command audit-log is an API of users whose doings are written into a file elsewhere: it publishes events, has one method's calls queued,
// and never waits for the target that writes.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/scripts/examples/setup"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

// example is where its two sides listen, and the file.
type example struct{ host, target, file string }

func main() {
	e := &example{} // a pointer, because Main parses the flags
	flag.StringVar(&e.host, "host", "127.0.0.1:9121", "`address` of the API")
	flag.StringVar(&e.target, "target", "127.0.0.1:9122", "`address` of the target")
	flag.StringVar(&e.file, "file", filepath.Join(os.TempDir(), "callout-audit.jsonl"), "`file` that the target appends to")
	setup.Main(e.start)
}

func (e *example) start(ctx context.Context, i *setup.Installation) (setup.Program, error) {
	log, err := openLog(e.file)
	if err != nil {
		return setup.Program{}, err
	}
	// The reference has no user.created, and "user" is its namespace: unless the host says that there is one, it is taken for a slip.
	if err := i.Events(ctx, "audit-log", "user.created"); err != nil {
		return setup.Program{}, err
	}
	target, err := i.Target(ctx, &actionv2.CreateTargetRequest{
		Name: "audit-log", Endpoint: "http://" + e.target + "/", Timeout: durationpb.New(10 * time.Second),
		// Async: a call of addUser is queued for it, as events are for targets of any type.
		TargetType: &actionv2.CreateTargetRequest_RestAsync{RestAsync: &actionv2.RESTAsync{}},
	})
	if err != nil {
		return setup.Program{}, err
	}
	err = i.On(ctx, target.ID,
		setup.Request(addUser), setup.Event("user.human.added"), setup.Event("user.created"), setup.Event("login.succeeded"))
	if err != nil {
		return setup.Program{}, err
	}
	return setup.Program{
		Serves: map[string]http.Handler{e.target: setup.Verified(target.Key, log.take), e.host: newHost(i.Hooks())},
		Says:   fmt.Sprintf(says, e.host, addUser, login, e.file),
	}, nil
}

const says = `An API of users listens at %[1]s. What is done with it is appended to %[4]s:

  curl -H 'Content-Type: application/json' -d '{"userName":"kim"}' http://%[1]s%[2]s
  curl -H 'Content-Type: application/json' -d '{"userName":"kim"}' http://%[1]s%[3]s
  cat %[4]s     # the call that adds a user, user.human.added, user.created and login.succeeded

Have any of them delivered again, and look again: nothing is there twice.

  go run ./scripts/callout delivery list --target audit-log
  go run ./scripts/callout delivery redeliver ID`
