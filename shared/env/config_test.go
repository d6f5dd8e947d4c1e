package env_test

import (
	"encoding/base64"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/engine"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
)

var sealKey = base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))

func TestDefaults(t *testing.T) {
	got, err := env.Read(nil)
	want := env.Config{Port: 8080, DatabaseID: "(default)", Roles: auth.DefaultRoles(), PushIssuer: "https://accounts.google.com",
		RetrySchedule: env.Schedule(ledger.DefaultSchedule()), Retention: 30 * 24 * time.Hour, LogBodies: env.LogAll, LogUnmatched: 24 * time.Hour, Shards: 1, ForwardHeaders: engine.DefaultHeaders(),
		Catalog: action.Namespaces, LogLevel: slog.LevelInfo}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestReadEverything(t *testing.T) {
	got, err := env.Read([]string{
		"PORT=9000", "FUNCTION_TARGET=deliver", "GOOGLE_CLOUD_PROJECT=p", "CALLOUT_DATABASE=d", "FIRESTORE_EMULATOR_HOST=127.0.0.1:8081", "PUBSUB_EMULATOR_HOST=127.0.0.1:8085",
		"CALLOUT_ISSUER=https://issuer.example", "CALLOUT_AUDIENCE=callout", "CALLOUT_INTROSPECTION_CLIENT_ID=api", "CALLOUT_INTROSPECTION_CLIENT_SECRET=s3cret", `CALLOUT_ROLES={"claim":"roles","roles":{"A":["action.event.publish"]}}`,
		"CALLOUT_SCOPE_PERMISSIONS=true", "CALLOUT_INSTANCES=A.example=a, b.example:8443=b", "CALLOUT_PUSH_ISSUER=http://127.0.0.1:8082", "CALLOUT_PUSH_AUDIENCE=push",
		"CALLOUT_PUSH_ACCOUNTS= a@b.c ,,1085", "CALLOUT_SEAL_KEYS=k1:" + sealKey, "CALLOUT_EGRESS_ALLOW=10.0.0.0/8,inner.example", "CALLOUT_EGRESS_DENY=8.8.8.8",
		"CALLOUT_RETRY_SCHEDULE=1s,2s", "CALLOUT_RETENTION=192h", "CALLOUT_LOG_BODIES=failures", "CALLOUT_LOG_UNMATCHED=0", "CALLOUT_SHARDS=4", "CALLOUT_CATALOG=strict",
		"CALLOUT_LOG_LEVEL=debug", "CALLOUT_RATE_LIMITS=publish=100/s, invoke=50/m", "CALLOUT_FORWARD_HEADERS=x-tenant, Origin,", "SOMETHING_ELSE=x",
	})
	want := env.Config{Port: 9000, Function: "deliver", Project: "p", DatabaseID: "d", FirestoreHost: "127.0.0.1:8081", PubSubHost: "127.0.0.1:8085",
		Issuer: "https://issuer.example", Audience: "callout", IntrospectID: "api", IntrospectSecret: "s3cret", Roles: auth.Roles{Claim: "roles", Table: map[string][]auth.Permission{"A": {auth.EventPublish}}},
		ScopePermissions: true, Instances: env.Instances{"a.example": "a", "b.example:8443": "b"}, PushIssuer: "http://127.0.0.1:8082", PushAudience: "push",
		PushAccounts: env.Accounts{"a@b.c", "1085"}, SealKeys: "k1:" + sealKey, EgressAllow: "10.0.0.0/8,inner.example", EgressDeny: "8.8.8.8",
		RetrySchedule: env.Schedule{time.Second, 2 * time.Second}, Retention: 8 * 24 * time.Hour, LogBodies: env.LogFailures, Shards: 4, Catalog: action.Strict, LogLevel: slog.LevelDebug,
		RateLimits: auth.Limits{auth.LimitPublish: {Calls: 100, Per: time.Second}, auth.LimitInvoke: {Calls: 50, Per: time.Minute}}, ForwardHeaders: engine.Headers{"X-Tenant", "Origin"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	rules := got.Rules()
	if rules.Shards != 4 || rules.Retention != got.Retention || len(rules.Schedule) != 2 || rules.Jitter == nil || got.Database() != "projects/p/databases/d" {
		t.Errorf("rules %+v, database %s", rules, got.Database())
	}
}

func TestEmptyMeansUnset(t *testing.T) {
	var empty []string
	for _, name := range []string{"PORT", "CALLOUT_DATABASE", "CALLOUT_ROLES", "CALLOUT_SCOPE_PERMISSIONS", "CALLOUT_INSTANCES", "CALLOUT_PUSH_ISSUER", "CALLOUT_PUSH_ACCOUNTS", "CALLOUT_SEAL_KEYS",
		"CALLOUT_RETRY_SCHEDULE", "CALLOUT_RETENTION", "CALLOUT_LOG_BODIES", "CALLOUT_LOG_UNMATCHED", "CALLOUT_SHARDS", "CALLOUT_CATALOG", "CALLOUT_LOG_LEVEL",
		"CALLOUT_RATE_LIMITS", "CALLOUT_FORWARD_HEADERS", "CALLOUT_INTROSPECTION_CLIENT_ID", "CALLOUT_INTROSPECTION_CLIENT_SECRET"} {
		empty = append(empty, name+"=")
	}
	got, err := env.Read(empty)
	want, _ := env.Read(nil)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestEveryProblemAtOnceAndNoSecrets(t *testing.T) {
	problems := []string{
		"PORT=eighty", "CALLOUT_ROLES=[]", "CALLOUT_SCOPE_PERMISSIONS=perhaps", "CALLOUT_INSTANCES=a.example", "CALLOUT_ISSUER=http://issuer.example", "CALLOUT_PUSH_ISSUER=x",
		"CALLOUT_SEAL_KEYS=" + sealKey + ":k1", "CALLOUT_EGRESS_ALLOW=10.0.0.0/99", "CALLOUT_EGRESS_DENY=*", "CALLOUT_RETRY_SCHEDULE=soon", "CALLOUT_RETENTION=24h", "CALLOUT_LOG_BODIES=some",
		"CALLOUT_RATE_LIMITS=publish", "CALLOUT_FORWARD_HEADERS=Origin,cookie", "CALLOUT_INTROSPECTION_CLIENT_SECRET=hunter2", "CALLOUT_LOG_UNMATCHED=-1s", "CALLOUT_SHARDS=none", "CALLOUT_CATALOG=loose", "CALLOUT_LOG_LEVEL=loud",
	}
	_, err := env.Read(problems)
	if err == nil {
		t.Fatal("no error")
	}
	for _, p := range problems {
		name, _, _ := strings.Cut(p, "=")
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in:\n%v", name, err)
		}
	}
	if n := strings.Count(err.Error(), "CALLOUT_SHARDS"); n != 1 {
		t.Errorf("CALLOUT_SHARDS is named %d times in:\n%v", n, err)
	}
	if !strings.Contains(err.Error(), "10.0.0.0/99") || !strings.Contains(err.Error(), `"*"`) {
		t.Errorf("one list's problem hides the other's:\n%v", err)
	}
	if strings.Contains(err.Error(), sealKey[:12]) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a secret is quoted:\n%v", err)
	}
}

func TestEachProblem(t *testing.T) {
	bad := []string{
		"PORT=65536", "PORT=-1", "CALLOUT_SHARDS=1025", "CALLOUT_SHARDS=x", "CALLOUT_RETENTION=191h59m", "CALLOUT_RETENTION=30d", "CALLOUT_INSTANCES=a=b=c d", "CALLOUT_INSTANCES==b",
		"CALLOUT_INSTANCES=a=__b", "CALLOUT_INSTANCES=a=b,", `CALLOUT_ROLES={"roles":{"A":["x"]}}`, "CALLOUT_RETRY_SCHEDULE=1s,,2s", "CALLOUT_RETRY_SCHEDULE=160h,160h,160h,160h,160h", "CALLOUT_ISSUER=//issuer.example",
		"CALLOUT_ISSUER=ftp://issuer.example", "CALLOUT_ISSUER=http://127.0.0.1.example", "CALLOUT_ISSUER=http://localhost.example", "CALLOUT_ISSUER=http://10.0.0.1",
		"CALLOUT_ISSUER=https://user:pw@issuer.example", "CALLOUT_ISSUER=https://issuer.example?x", "CALLOUT_ISSUER=https://issuer.example#x", "CALLOUT_PUSH_ISSUER=http://accounts.google.com",
		"CALLOUT_SEAL_KEYS=k1:short", "CALLOUT_SEAL_KEYS=k1:" + sealKey + ",k1:" + sealKey, "CALLOUT_CATALOG=Strict", "CALLOUT_LOG_BODIES=ALL",
		"CALLOUT_INTROSPECTION_CLIENT_ID=x", "CALLOUT_RATE_LIMITS=off", "CALLOUT_URL=http://callout.example", "CALLOUT_URL=https://callout.example/",
		"CALLOUT_URL=https://callout.example/x", "CALLOUT_URL=callout.example", "CALLOUT_CONSOLE_CLIENT_ID=console",
	}
	for _, b := range bad {
		name, value, _ := strings.Cut(b, "=")
		if _, err := env.Read([]string{b}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: got %v", name, value, err)
		}
	}
	for _, good := range []string{"CALLOUT_ISSUER=http://127.0.0.1:8082", "CALLOUT_ISSUER=http://[::1]:1", "CALLOUT_ISSUER=http://localhost", "CALLOUT_ISSUER=https://issuer.example/realms/x",
		"CALLOUT_URL=https://callout.example:8443", "CALLOUT_URL=http://127.0.0.1:8080"} {
		if _, err := env.Read([]string{good}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

func TestRequire(t *testing.T) {
	full := env.Config{Project: "p", Issuer: "i", Audience: "a", SealKeys: "s", PushIssuer: "i", PushAudience: "a", PushAccounts: env.Accounts{"x"}}
	tests := []struct {
		name  string
		edit  func(*env.Config)
		needs []env.Need
		want  string
	}{
		{"all is there", func(*env.Config) {}, []env.Need{env.Push, env.Secrets, env.Push}, ""},
		{"nothing is there", func(c *env.Config) { *c = env.Config{} }, []env.Need{env.Push, env.Secrets},
			"not set: GOOGLE_CLOUD_PROJECT, CALLOUT_ISSUER, CALLOUT_AUDIENCE, CALLOUT_PUSH_ISSUER, CALLOUT_PUSH_AUDIENCE, CALLOUT_PUSH_ACCOUNTS, CALLOUT_SEAL_KEYS"},
		{"what is not needed may be missing", func(c *env.Config) { c.SealKeys, c.PushAccounts = "", nil }, nil, ""},
		{"no accounts may push", func(c *env.Config) { c.PushAccounts = nil }, []env.Need{env.Push}, "not set: CALLOUT_PUSH_ACCOUNTS"},
		{"no seal keys", func(c *env.Config) { c.SealKeys = "" }, []env.Need{env.Secrets}, "not set: CALLOUT_SEAL_KEYS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, needs := full, append([]env.Need(nil), tt.needs...)
			tt.edit(&c)
			err := c.Require(needs...)
			if got := text(err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if diff := cmp.Diff(tt.needs, needs); diff != "" {
				t.Errorf("the caller's list was changed (-want +got):\n%s", diff)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestKeepBodies(t *testing.T) {
	for l, want := range map[env.LogBodies][2]bool{env.LogAll: {true, true}, env.LogFailures: {false, true}, env.LogNone: {false, false}, "": {false, false}} {
		if got := [2]bool{l.Keep(action.Success), l.Keep(action.Timeout)}; got != want {
			t.Errorf("%q: got %v", l, got)
		}
	}
}

// TestOpenDialsNothing: services that are down are no reason not to start, and clients without secrets say so when one is wanted.
func TestOpenDialsNothing(t *testing.T) {
	c, err := env.Read([]string{"GOOGLE_CLOUD_PROJECT=p", "FIRESTORE_EMULATOR_HOST=127.0.0.1:1", "PUBSUB_EMULATOR_HOST=127.0.0.1:1", "CALLOUT_ISSUER=https://issuer.example", "CALLOUT_AUDIENCE=a"})
	if err != nil {
		t.Fatal(err)
	}
	clients, err := env.Open(t.Context(), c, env.Network{}, logging.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if clients.Store == nil || clients.Ledger == nil || clients.Queue == nil || clients.Guard == nil || clients.Push == nil || clients.Egress == nil || clients.Caller.Client == nil ||
		clients.Caller.UserAgent != "Callout/"+env.Version {
		t.Errorf("a client is missing: %+v", clients)
	}
	if err := clients.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := clients.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
	c.SealKeys = "nonsense"
	if _, err := env.Open(t.Context(), c, env.Network{}, logging.Discard()); err == nil {
		t.Error("opened with a broken seal key")
	}
}

// TestOpenDatabase needs neither a queue nor an issuer.
func TestOpenDatabase(t *testing.T) {
	c, err := env.Read([]string{"GOOGLE_CLOUD_PROJECT=p", "FIRESTORE_EMULATOR_HOST=127.0.0.1:1", "CALLOUT_SEAL_KEYS=k1:" + sealKey})
	if err != nil {
		t.Fatal(err)
	}
	clients, err := env.OpenDatabase(t.Context(), c, env.Network{}, logging.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if clients.Store == nil || clients.Queue != nil || clients.Guard != nil {
		t.Errorf("opened %+v", clients)
	}
	if err := clients.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	c.SealKeys = "nonsense"
	if _, err := env.OpenDatabase(t.Context(), c, env.Network{}, logging.Discard()); err == nil {
		t.Error("opened with a broken seal key")
	}
}

func FuzzRead(f *testing.F) {
	f.Add("a.example=a", `{"claim":"x"}`, "1s,2s", "10.0.0.0/8", "k1:"+sealKey)
	f.Fuzz(func(t *testing.T, instances, roles, schedule, egress, seal string) {
		_, err := env.Read([]string{"CALLOUT_INSTANCES=" + instances, "CALLOUT_ROLES=" + roles, "CALLOUT_RETRY_SCHEDULE=" + schedule, "CALLOUT_EGRESS_ALLOW=" + egress, "CALLOUT_SEAL_KEYS=" + seal})
		if err != nil && len(seal) > 40 && strings.Contains(err.Error(), seal[3:]) {
			t.Errorf("the seal keys are quoted: %v", err)
		}
	})
}
