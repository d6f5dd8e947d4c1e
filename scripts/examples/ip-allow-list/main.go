// Command ip-allow-list is a login API that refuses logins from addresses that are not on a list: the API asks Callout before it handles a
// request, and Callout asks the target.
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

const createSession = "/zitadel.session.v2.SessionService/CreateSession"

// example is where its two sides listen, and who may log in.
type example struct{ host, target, allow string }

func main() {
	e := &example{} // a pointer, because Main parses the flags
	flag.StringVar(&e.host, "host", "127.0.0.1:9101", "`address` of the login API")
	flag.StringVar(&e.target, "target", "127.0.0.1:9102", "`address` of the target")
	flag.StringVar(&e.allow, "allow", "203.0.113.0/24,2001:db8::/32", "`list` of the networks that logins may come from")
	setup.Main(e.start)
}

func (e *example) start(ctx context.Context, i *setup.Installation) (setup.Program, error) {
	list, err := parse(e.allow)
	if err != nil {
		return setup.Program{}, err
	}
	target, err := i.Target(ctx, &actionv2.CreateTargetRequest{
		Name: "ip-allow-list", Endpoint: "http://" + e.target + "/", Timeout: durationpb.New(2 * time.Second),
		// A webhook has nothing to change. It interrupts: while the target is away, nobody logs in.
		TargetType: &actionv2.CreateTargetRequest_RestWebhook{RestWebhook: &actionv2.RESTWebhook{InterruptOnError: true}},
	})
	if err != nil {
		return setup.Program{}, err
	}
	if err := i.On(ctx, target.ID, setup.Request(createSession)); err != nil {
		return setup.Program{}, err
	}
	return setup.Program{
		Serves: map[string]http.Handler{e.target: setup.Verified(target.Key, list.take), e.host: newHost(i.Hooks())},
		Says:   fmt.Sprintf(says, e.host, createSession, e.allow),
	}, nil
}

const says = `A login API listens at %[1]s, and may be used from %[3]s alone. You are the proxy before it:

  login() { curl -i -H "X-Forwarded-For: $1" -H 'Content-Type: application/json' \
    -d '{"checks":{"user":{"loginName":"kim"}}}' http://%[1]s%[2]s; }
  login 203.0.113.7      # is on the list: a session
  login 198.51.100.7     # is not: 403

Stop this program, change the list with -allow, and start it again.`
