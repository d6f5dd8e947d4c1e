// Command custom-claims is a login system whose access tokens say more than it knows: while it makes a token it asks Callout, Callout asks
// the target, and a relying party reads what the target added.
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
	"github.com/callout-dev/callout/shared/hook"
)

// example is where its sides listen.
type example struct{ issuer, target, party string }

func main() {
	e := &example{} // a pointer, because Main parses the flags
	flag.StringVar(&e.issuer, "host", "127.0.0.1:9111", "`address` of the login system, which issues tokens")
	flag.StringVar(&e.target, "target", "127.0.0.1:9112", "`address` of the target")
	flag.StringVar(&e.party, "party", "127.0.0.1:9113", "`address` of the relying party, which takes them")
	setup.Main(e.start)
}

func (e *example) start(ctx context.Context, i *setup.Installation) (setup.Program, error) {
	target, err := i.Target(ctx, &actionv2.CreateTargetRequest{
		Name: "custom-claims", Endpoint: "http://" + e.target + "/", Timeout: durationpb.New(2 * time.Second),
		// It does not interrupt: while the target is away there are tokens without the claim, which can do less and not more.
		TargetType: &actionv2.CreateTargetRequest_RestCall{RestCall: &actionv2.RESTCall{}},
	})
	if err != nil {
		return setup.Program{}, err
	}
	if err := i.On(ctx, target.ID, setup.Function("preaccesstoken")); err != nil {
		return setup.Program{}, err
	}
	issuer, err := newIssuer("http://"+e.issuer, &hook.Host{Engine: i.Hooks()})
	if err != nil {
		return setup.Program{}, err
	}
	return setup.Program{
		Serves: map[string]http.Handler{
			e.target: setup.Verified(target.Key, addClaims), e.issuer: issuer.handler(), e.party: newParty("http://"+e.issuer, i.Client),
		},
		Says: fmt.Sprintf(says, e.issuer, e.party),
	}, nil
}

const says = `A login system listens at %[1]s, and an API that takes its tokens at %[2]s:

  whoami() { curl -H "Authorization: Bearer $(curl -s -d user=$1 http://%[1]s/token)" http://%[2]s/; }
  whoami kim     # pays: the target adds the claim "tier": "gold"
  whoami lee     # does not: "tier": "free"`
