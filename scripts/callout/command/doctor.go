package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/oauth2"
	"google.golang.org/grpc"

	"github.com/callout-dev/callout/scripts/callout/access"
	"github.com/callout-dev/callout/scripts/callout/doctor"
	"github.com/callout-dev/callout/scripts/callout/terminal"
	"github.com/callout-dev/callout/shared/env"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check an installation, and say what is wrong and what to do about it",
		Long: `Check an installation, and say what is wrong and what to do about it. It changes nothing.

From outside: whether API and issuer answer, whether a token can be had and what its caller may do, clocks, and the keys of payloads.
Where the environment of the functions is given (GOOGLE_CLOUD_PROJECT with CALLOUT_DATABASE, CALLOUT_SEAL_KEYS, CALLOUT_EGRESS_ALLOW and the others,
FIRESTORE_EMULATOR_HOST, PUBSUB_EMULATOR_HOST), and beside a server on this machine, also Firestore and its indexes, Pub/Sub with its topics and
subscriptions, whether every sealed value opens, and whether every target may be called.

A warning is no failure.`,
		Example: `  callout doctor
  callout doctor -o json
  callout doctor --api https://callout.example.org --issuer https://id.example.org --client-id ID`,
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error { return a.examine(ctx) }),
	}
}

var verdictColours = map[doctor.Verdict]terminal.Colour{
	doctor.OK: terminal.Green, doctor.Warning: terminal.Yellow, doctor.Failed: terminal.Red, doctor.Skipped: terminal.Grey,
}

func (a *app) examine(ctx context.Context) error {
	p, err := a.patient()
	if err != nil {
		return err
	}
	defer func() {
		for _, c := range []*grpc.ClientConn{p.Services.Firestore, p.Services.PubSub} {
			if c != nil {
				_ = c.Close() // whoever used it may have done so
			}
		}
	}()
	all := []doctor.Finding{}
	count := map[doctor.Verdict]int{}
	err = p.Examine(ctx, func(f doctor.Finding) error {
		all = append(all, f)
		count[f.Verdict]++
		if a.forMachines() {
			return nil
		}
		return a.showFinding(f)
	})
	if err == nil && a.forMachines() {
		err = a.showFindings(all)
	}
	if err == nil && count[doctor.Failed] > 0 {
		err = fmt.Errorf("%d of %d checks failed", count[doctor.Failed], len(all))
	}
	return err
}

func (a *app) showFinding(f doctor.Finding) error {
	_, err := fmt.Fprintf(a.Out, "%s %-13s  %s\n", a.paint.Paint(verdictColours[f.Verdict], fmt.Sprintf("%-7s", f.Verdict)), f.Check, terminal.Line(f.Says))
	if f.Next != "" && err == nil {
		_, err = fmt.Fprintf(a.Out, "%-21s  → %s\n", "", terminal.Line(f.Next))
	}
	return err
}

func (a *app) showFindings(all []doctor.Finding) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(struct {
		Checks []doctor.Finding `json:"checks"`
	}{all}); err != nil {
		return err
	}
	return a.showJSON(text.Bytes())
}

// patient gathers what is known of the installation. That nobody said who is calling keeps no API that was named from being examined.
func (a *app) patient() (*doctor.Patient, error) {
	choice, err := a.choice(false)
	if err != nil {
		return nil, err
	}
	settings, err := choice.Settle()
	_, missing := errors.AsType[*access.MissingError](err)
	p := &doctor.Patient{Network: a.network, Explain: a.explain, Resolver: a.Resolver}
	switch {
	case missing && choice.API != "":
		p.API, p.Issuer = strings.TrimRight(choice.API, "/"), choice.Issuer
	case err != nil:
		return nil, err
	default:
		p.API, p.Issuer = settings.API, settings.Issuer
		p.Tokens = func(ctx context.Context) (oauth2.TokenSource, error) {
			return settings.TokenSource(ctx, a.issuerClient())
		}
	}
	if claims, ok := access.ReadClaims(choice.Token); ok && p.Issuer == "" {
		p.Issuer = claims.Issuer
	}
	a.api = p.API
	return p, a.surroundings(p, choice.Data)
}

// surroundings finds the configuration of the functions: that of the server on this machine where it is the one which is examined, unless the
// environment says where the functions of an installation find their services.
func (a *app) surroundings(p *doctor.Patient, data string) error {
	local, err := access.ReadLocal(data)
	beside := err == nil && strings.TrimRight(local.API, "/") == p.API && local.Project != ""
	environ := a.Environ
	switch given := a.variable("GOOGLE_CLOUD_PROJECT") != ""; {
	case given && (!beside || slices.ContainsFunc(serviceVariables, func(name string) bool { return a.variable(name) != "" })):
		p.Source = "the environment"
	case beside:
		p.Source, p.Local = filepath.Join(data, "local.json"), true
		if environ, err = a.besides(local, data); err != nil {
			return err
		}
	default:
		return nil
	}
	if p.Config, err = env.Read(environ); err != nil {
		p.Broken = err.Error()
		return nil
	}
	if p.Services.Firestore, err = a.service(p.Config.FirestoreHost); err == nil {
		p.Services.PubSub, err = a.service(p.Config.PubSubHost)
	}
	return err
}

// serviceVariables are those that say, beside the project, that an environment is one of functions.
var serviceVariables = []string{"CALLOUT_DATABASE", "FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "CALLOUT_ISSUER"}

// localEgress is what a server on this machine allows if nobody says otherwise (callout.md section 1).
const localEgress = "127.0.0.0/8,::1/128"

// besides is the environment that a server on this machine makes for its functions.
func (a *app) besides(local access.Local, data string) ([]string, error) {
	keys := a.variable("CALLOUT_SEAL_KEYS")
	if keys == "" {
		text, err := os.ReadFile(filepath.Join(data, "seal.key"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		keys = strings.TrimSpace(string(text))
	}
	allow := a.variable("CALLOUT_EMULATOR_EGRESS_ALLOW")
	if allow == "" {
		allow = localEgress
	}
	return []string{
		"GOOGLE_CLOUD_PROJECT=" + local.Project, "FIRESTORE_EMULATOR_HOST=" + local.Firestore, "PUBSUB_EMULATOR_HOST=" + local.PubSub,
		"CALLOUT_ISSUER=" + local.Issuer, "CALLOUT_AUDIENCE=" + local.Audience, "CALLOUT_SEAL_KEYS=" + keys,
		"CALLOUT_EGRESS_ALLOW=" + strings.Trim(allow+","+a.variable("CALLOUT_EGRESS_ALLOW"), ","), "CALLOUT_EGRESS_DENY=" + a.variable("CALLOUT_EGRESS_DENY"),
	}, nil
}

// variable is one of Environ.
func (a *app) variable(name string) string {
	for _, v := range a.Environ {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}
