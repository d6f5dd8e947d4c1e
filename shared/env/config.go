// Package env turns the environment into a configuration, and that into opened clients. Every problem is reported at once.
package env

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/egress"
	"github.com/callout-dev/callout/shared/engine"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/seal"
	"github.com/callout-dev/callout/shared/telemetry"
)

// Version is Callout's, as targets see it.
const Version = "0.1.0"

// Config is the configuration of the functions (callout.md section 9).
type Config struct {
	Port          uint16 `env:"PORT" envDefault:"8080"`
	Function      string `env:"FUNCTION_TARGET"`
	Project       string `env:"GOOGLE_CLOUD_PROJECT"`
	DatabaseID    string `env:"CALLOUT_DATABASE" envDefault:"(default)"`
	FirestoreHost string `env:"FIRESTORE_EMULATOR_HOST"`
	PubSubHost    string `env:"PUBSUB_EMULATOR_HOST"`

	Issuer           string     `env:"CALLOUT_ISSUER"`
	Audience         string     `env:"CALLOUT_AUDIENCE"`
	IntrospectID     string     `env:"CALLOUT_INTROSPECTION_CLIENT_ID"`
	IntrospectSecret string     `env:"CALLOUT_INTROSPECTION_CLIENT_SECRET"`
	Roles            auth.Roles `env:"CALLOUT_ROLES"`
	ScopePermissions bool       `env:"CALLOUT_SCOPE_PERMISSIONS"`
	Instances        Instances  `env:"CALLOUT_INSTANCES"`

	RateLimits auth.Limits `env:"CALLOUT_RATE_LIMITS"`

	URL             string `env:"CALLOUT_URL"`
	ConsoleClientID string `env:"CALLOUT_CONSOLE_CLIENT_ID"`

	PushIssuer   string   `env:"CALLOUT_PUSH_ISSUER" envDefault:"https://accounts.google.com"`
	PushAudience string   `env:"CALLOUT_PUSH_AUDIENCE"`
	PushAccounts Accounts `env:"CALLOUT_PUSH_ACCOUNTS"`

	SealKeys        string `env:"CALLOUT_SEAL_KEYS"`
	HideSigningKeys bool   `env:"CALLOUT_HIDE_SIGNING_KEYS"`
	EgressAllow     string `env:"CALLOUT_EGRESS_ALLOW"`
	EgressDeny      string `env:"CALLOUT_EGRESS_DENY"`

	ForwardHeaders engine.Headers `env:"CALLOUT_FORWARD_HEADERS"`

	RetrySchedule Schedule             `env:"CALLOUT_RETRY_SCHEDULE"`
	Retention     time.Duration        `env:"CALLOUT_RETENTION" envDefault:"720h"`
	LogBodies     LogBodies            `env:"CALLOUT_LOG_BODIES" envDefault:"all"`
	LogUnmatched  time.Duration        `env:"CALLOUT_LOG_UNMATCHED" envDefault:"24h"`
	Shards        int                  `env:"CALLOUT_SHARDS" envDefault:"1"`
	Catalog       action.CatalogueMode `env:"CALLOUT_CATALOG" envDefault:"namespaces"`
	LogLevel      slog.Level           `env:"CALLOUT_LOG_LEVEL" envDefault:"INFO"`

	Telemetry telemetry.Config
}

// LogBodies says of which attempts the beginning of the answer is kept.
type LogBodies string

// What CALLOUT_LOG_BODIES may say.
const (
	LogAll      LogBodies = "all"
	LogFailures LogBodies = "failures"
	LogNone     LogBodies = "none"
)

// Keep says whether the answer of a call is kept.
func (l LogBodies) Keep(o action.Outcome) bool {
	return l == LogAll || l == LogFailures && o != action.Success
}

// Need names what a function cannot do without.
type Need string

// The needs. Every function needs the project, the issuer and the audience.
const (
	Secrets Need = "secrets" // reads signing keys: CALLOUT_SEAL_KEYS
	Push    Need = "push"    // is called by the queue: CALLOUT_PUSH_*
)

const (
	giveUpBefore = 24 * time.Hour // what is unfinished this long before its event's record ends is given up
	minRetention = 7*24*time.Hour + giveUpBefore
	maxShards    = 1024
)

// Read makes the configuration from variables, each name=value as os.Environ has them. The error lists every problem.
func Read(environ []string) (Config, error) {
	c := Config{Roles: auth.DefaultRoles(), ForwardHeaders: engine.DefaultHeaders(), RetrySchedule: Schedule(ledger.DefaultSchedule())}
	unread, err := problems(env.ParseWithOptions(&c, env.Options{Environment: env.ToMap(environ)}))
	return c, errors.Join(err, c.check(unread))
}

// problems words what the library found, without quoting values: some are secrets. Unread are the variables that it is about.
func problems(err error) (unread []string, _ error) {
	aggregate, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		return nil, err
	}
	var all []error
	for _, e := range aggregate.Errors {
		if p, ok := errors.AsType[env.ParseError](e); ok {
			e = fmt.Errorf("%s: %w", variable(p.Name), p.Err)
			unread = append(unread, variable(p.Name))
		}
		all = append(all, e)
	}
	return unread, errors.Join(all...)
}

// check looks at what was read; of a variable that could not be, there is nothing more to say.
func (c Config) check(unread []string) error {
	var problems []error
	add := func(variable string, err error) {
		if err != nil && !slices.Contains(unread, variable) {
			problems = append(problems, fmt.Errorf("%s: %w", variable, err))
		}
	}
	if c.SealKeys != "" {
		_, err := seal.New(c.SealKeys)
		add("CALLOUT_SEAL_KEYS", err)
	}
	_, err := egress.NewPolicy(c.EgressAllow, c.EgressDeny)
	add("CALLOUT_EGRESS_ALLOW, CALLOUT_EGRESS_DENY", err)
	add("CALLOUT_ISSUER", checkIssuer(c.Issuer))
	add("CALLOUT_PUSH_ISSUER", checkIssuer(c.PushIssuer))
	if (c.IntrospectID == "") != (c.IntrospectSecret == "") {
		add("CALLOUT_INTROSPECTION_CLIENT_ID, CALLOUT_INTROSPECTION_CLIENT_SECRET", errors.New("must be set both or neither"))
	}
	add("CALLOUT_URL", checkOrigin(c.URL))
	if c.ConsoleClientID != "" && c.URL == "" {
		add("CALLOUT_CONSOLE_CLIENT_ID", errors.New("wants CALLOUT_URL, where the console takes people back to"))
	}
	if c.Catalog != action.Namespaces && c.Catalog != action.Strict {
		add("CALLOUT_CATALOG", errors.New("must be namespaces or strict"))
	}
	if c.LogBodies != LogAll && c.LogBodies != LogFailures && c.LogBodies != LogNone {
		add("CALLOUT_LOG_BODIES", errors.New("must be all, failures or none"))
	}
	if c.Retention < minRetention {
		add("CALLOUT_RETENTION", fmt.Errorf("must be at least %s", minRetention))
	}
	if longest := ledger.Schedule(c.RetrySchedule).Longest(); longest > c.Retention-giveUpBefore {
		add("CALLOUT_RETRY_SCHEDULE", fmt.Errorf("takes up to %s, which must fit into CALLOUT_RETENTION less a day", longest))
	}
	if c.LogUnmatched < 0 {
		add("CALLOUT_LOG_UNMATCHED", errors.New("must not be negative"))
	}
	if c.Shards < 1 || c.Shards > maxShards {
		add("CALLOUT_SHARDS", fmt.Errorf("must be 1 to %d", maxShards))
	}
	return errors.Join(problems...)
}

// checkIssuer wants https, or http on this machine only. Empty is for Require to judge.
func checkIssuer(issuer string) error {
	if issuer == "" {
		return nil
	}
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" {
		return errors.New("is not a URL")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("must not have credentials, a query or a fragment")
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) {
		return nil
	}
	return errors.New("must be https; http is for loopback only")
}

// checkOrigin wants what an issuer's URL must be, without a path: scheme, host and perhaps a port.
func checkOrigin(origin string) error {
	if err := checkIssuer(origin); err != nil || origin == "" {
		return err
	}
	if u, err := url.Parse(origin); err != nil || u.Path != "" || u.ForceQuery {
		return errors.New("must be a scheme and a host, without a path or a slash at its end")
	}
	return nil
}

// Require checks that what a function needs is there. The error lists all that is missing.
func (c Config) Require(needs ...Need) error {
	var missing []string
	want := func(variable, value string) {
		if value == "" {
			missing = append(missing, variable)
		}
	}
	want("GOOGLE_CLOUD_PROJECT", c.Project)
	want("CALLOUT_ISSUER", c.Issuer)
	want("CALLOUT_AUDIENCE", c.Audience)
	needs = slices.Clone(needs) // they are the caller's
	slices.Sort(needs)
	for _, need := range slices.Compact(needs) {
		switch need {
		case Secrets:
			want("CALLOUT_SEAL_KEYS", c.SealKeys)
		case Push:
			want("CALLOUT_PUSH_ISSUER", c.PushIssuer)
			want("CALLOUT_PUSH_AUDIENCE", c.PushAudience)
			want("CALLOUT_PUSH_ACCOUNTS", strings.Join(c.PushAccounts, ","))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("not set: %s", strings.Join(missing, ", "))
}

// Database is the full name of the Firestore database.
func (c Config) Database() string {
	return "projects/" + c.Project + "/databases/" + c.DatabaseID
}

// service is what telemetry calls this process.
func (c Config) service() string {
	if c.Function == "" {
		return "callout"
	}
	return "callout-" + c.Function
}

// Policy is which addresses targets may have: what the lists say, and none of the services beside the functions.
func (c Config) Policy() (*egress.Policy, error) {
	policy, err := egress.NewPolicy(c.EgressAllow, c.EgressDeny)
	if err != nil {
		return nil, err
	}
	return policy.WithOwn(c.services()...), nil
}

// services are the addresses of services that stand on this machine or beside it: no target may name them either.
func (c Config) services() []netip.AddrPort {
	var own []netip.AddrPort
	for _, service := range []string{c.FirestoreHost, c.PubSubHost, strings.TrimPrefix(c.Issuer, "http://")} {
		if addr, err := netip.ParseAddrPort(service); err == nil {
			own = append(own, addr)
		}
	}
	return own
}

// Rules is what the ledger's state machine takes from the configuration.
func (c Config) Rules() ledger.Rules {
	return ledger.Rules{Schedule: ledger.Schedule(c.RetrySchedule), Retention: c.Retention, Shards: c.Shards, Jitter: ledger.Jitter}
}
