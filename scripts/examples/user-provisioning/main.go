// Command user-provisioning is a login system whose users get an account in another system, once each, however often the event is delivered
// and whether or not that system is there at the time.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/scripts/examples/setup"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

// example is where its sides listen.
type example struct{ host, target, directory string }

func main() {
	e := &example{} // a pointer, because Main parses the flags
	flag.StringVar(&e.host, "host", "127.0.0.1:9131", "`address` of the login system")
	flag.StringVar(&e.target, "target", "127.0.0.1:9132", "`address` of the target")
	flag.StringVar(&e.directory, "directory", "127.0.0.1:9133", "`address` of the other system")
	setup.Main(e.start)
}

func (e *example) start(ctx context.Context, i *setup.Installation) (setup.Program, error) {
	target, err := i.Target(ctx, &actionv2.CreateTargetRequest{
		Name: "user-provisioning", Endpoint: "http://" + e.target + "/", Timeout: durationpb.New(10 * time.Second),
		TargetType: &actionv2.CreateTargetRequest_RestWebhook{RestWebhook: &actionv2.RESTWebhook{}},
	})
	if err != nil {
		return setup.Program{}, err
	}
	if err := i.On(ctx, target.ID, setup.Event("user.human.added")); err != nil {
		return setup.Program{}, err
	}
	p := provisioner{accounts: "http://" + e.directory + "/accounts", client: i.Client}
	return setup.Program{
		Serves: map[string]http.Handler{
			e.target: setup.Verified(target.Key, p.take), e.host: newHost(i.Hooks()), e.directory: newDirectory(),
		},
		Says: fmt.Sprintf(says, e.host, e.directory),
	}, nil
}

const says = `A login system listens at %[1]s, and the other system, with accounts of its own, at %[2]s:

  curl -d '{"userName":"kim"}' http://%[1]s/users
  curl http://%[2]s/accounts     # kim has one

While the other system is away, Callout tries again after 5 s, 30 s, 2 m and so on; what has waited for it comes once it is back:

  curl -X POST http://%[2]s/away
  curl -d '{"userName":"lee"}' http://%[1]s/users
  curl -X POST http://%[2]s/back
  go run ./scripts/callout delivery list --target user-provisioning`
