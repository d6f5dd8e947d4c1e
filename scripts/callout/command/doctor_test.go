package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/emulator/storage"
	"github.com/callout-dev/callout/scripts/callout/command"
	"github.com/callout-dev/callout/scripts/callout/doctor"
)

// names is a resolver that knows one.
type names struct{}

func (names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if host == "hooks.example.org" {
		return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
	}
	return nil, errors.New("no such host")
}

// examine runs the doctor and gives its findings by their checks.
func (i installed) examine(environ []string, args ...string) (map[string]doctor.Finding, int) {
	i.t.Helper()
	var out, errs bytes.Buffer
	p, _, _ := i.process("", append([]string{"doctor", "-o", "json"}, args...)...)
	p.Environ, p.Out, p.Err, p.Resolver = environ, &out, &errs, names{}
	code := command.Run(i.t.Context(), p)
	var answer struct{ Checks []doctor.Finding }
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		i.t.Fatalf("doctor %q: %v, %s", args, err, &errs)
	}
	found := map[string]doctor.Finding{}
	for _, f := range answer.Checks {
		found[f.Check] = f
	}
	text := out.String() + errs.String()
	for _, secret := range []string{sealK1[3:], sealK2[3:], secretOf(i.t, i.world, "admin"), secretOf(i.t, i.world, "viewer"), "eyJ"} {
		if strings.Contains(text, secret) {
			i.t.Errorf("doctor %q tells a secret: %s", args, text)
		}
	}
	return found, code
}

// sick is an installation with one thing wrong, and what the doctor must say of it.
type sick struct {
	name    string
	environ []string // nil: the healthy one's
	args    []string
	check   string
	verdict doctor.Verdict
	says    string
}

func (i installed) mustFind(s sick) {
	i.t.Helper()
	environ := s.environ
	if environ == nil {
		environ = i.environ
	}
	found, code := i.examine(environ, s.args...)
	f := found[s.check]
	if f.Verdict != s.verdict || !strings.Contains(f.Says, s.says) || s.verdict != doctor.OK && s.verdict != doctor.Skipped && f.Next == "" {
		i.t.Errorf("%s: it finds %+v, want %s %q", s.name, f, s.verdict, s.says)
	}
	if want := map[bool]int{true: command.ExitFailed, false: command.ExitFine}[s.verdict == doctor.Failed]; code != want {
		i.t.Errorf("%s: exit %d, want %d: %+v", s.name, code, want, found)
	}
}

// with is an environment with some variables changed.
func with(environ []string, changes ...string) []string {
	return append(append([]string(nil), environ...), changes...)
}

func TestDoctorFindsAHealthyInstallationHealthy(t *testing.T) {
	t.Parallel()
	signingKeys()
	synctest.Test(t, func(t *testing.T) {
		install(t, t.TempDir(), sealK1, func(i installed) {
			i.ok("target", "create", "--name", "a", "--endpoint", "http://127.0.0.1:9000/", "--payload", "jwt")
			for source, environ := range map[string][]string{"local.json": {"CALLOUT_SEAL_KEYS=" + sealK1}, "the environment": i.environ} {
				found, code := i.examine(environ)
				if code != command.ExitFine || len(found) != 12 {
					t.Errorf("%s: exit %d", source, code)
				}
				for check, f := range found {
					if f.Verdict != doctor.OK || f.Says == "" || f.Next != "" {
						t.Errorf("%s: %s: %+v", source, check, f)
					}
				}
				wantSaid(t, found["configuration"].Says, source)
				wantSaid(t, found["payload keys"].Says, "1 published")
				wantSaid(t, found["seal keys"].Says, "2 values open, with the key k1")
			}
			p, out, _ := i.process("", "doctor")
			p.Environ, p.Screen = i.environ, true
			if code := command.Run(t.Context(), p); code != command.ExitFine || strings.Count(out.String(), "\x1b[32mok     \x1b[39m ") != 12 {
				t.Errorf("for people: exit %d, %q", code, out)
			}
		})
	})
}

func TestDoctorNamesWhatIsWrongOutside(t *testing.T) {
	t.Parallel()
	signingKeys()
	synctest.Test(t, func(t *testing.T) {
		install(t, t.TempDir(), sealK1, func(i installed) {
			const api, strange = "http://" + apiAddress, "127.0.0.1:7001"
			issuer := "http://" + issuerAddress
			var answer http.HandlerFunc // what the strange server does
			i.serve(strange, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
			toStrange := func(address string) []string {
				return []string{"--api", api, "--issuer", address, "--client-id", "admin", "--client-secret", secretOf(t, i.world, "admin")}
			}
			proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: apiAddress})
			transport := &http.Transport{DialContext: i.dial}
			proxy.Transport = transport
			t.Cleanup(transport.CloseIdleConnections)
			dated := func(by time.Duration) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
					_, _ = w.Write([]byte(`{"status":"ok"}`))
				}
			}
			document := func(issuer, keys string) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/keys" {
						_, _ = w.Write([]byte(keys))
						return
					}
					_ = json.NewEncoder(w).Encode(map[string]string{"issuer": issuer, "jwks_uri": "http://" + strange + "/keys", "token_endpoint": "http://" + strange + "/token"})
				}
			}
			old := strings.TrimSpace(i.ok("token"))
			header, payload, _ := strings.Cut(old, ".")
			payload, _, _ = strings.Cut(payload, ".")
			i.mustFind(sick{name: "no API", args: []string{"--api", "http://127.0.0.1:1"}, check: "api", verdict: doctor.Failed, says: "nobody answers at http://127.0.0.1:1"})
			i.mustFind(sick{name: "another API", args: []string{"--api", issuer}, check: "api", verdict: doctor.Failed, says: "/health answers 404"})
			i.mustFind(sick{name: "no issuer", args: toStrange("http://127.0.0.1:1"), check: "issuer", verdict: doctor.Failed, says: "nobody answers at http://127.0.0.1:1"})
			i.mustFind(sick{name: "an issuer that is the API", args: toStrange(api), check: "issuer", verdict: doctor.Failed, says: "no token_endpoint"})
			answer = http.NotFound
			i.mustFind(sick{name: "no discovery", args: toStrange("http://" + strange), check: "issuer", verdict: doctor.Failed, says: "has no discovery document"})
			answer = document(issuer, "")
			i.mustFind(sick{name: "another name", args: toStrange("http://" + strange), check: "issuer", verdict: doctor.Failed, says: `calls itself "http://127.0.0.1:8082"`})
			answer = document("http://"+strange, `{"keys":[{"kty":"oct","k":"AAAA","alg":"HS256"}]}`)
			i.mustFind(sick{name: "no usable keys", args: toStrange("http://" + strange), check: "issuer", verdict: doctor.Failed, says: "publishes 1 key, and none"})
			answer = document("http://"+strange, `<html>`)
			i.mustFind(sick{name: "no keys", args: toStrange("http://" + strange), check: "issuer", verdict: doctor.Failed, says: "and no keys"})
			i.mustFind(sick{name: "another issuer than the functions'", environ: with(i.environ, "CALLOUT_ISSUER=https://id.example.org"), check: "configuration", verdict: doctor.Warning, says: "https://id.example.org"})

			i.mustFind(sick{name: "a wrong secret", args: []string{"--client-id", "admin", "--client-secret", "wrong"}, check: "token", verdict: doctor.Failed, says: "gives client admin no token"})
			i.mustFind(sick{name: "an opaque token", args: []string{"--token", "opaque"}, check: "token", verdict: doctor.Failed, says: "no JWT"})
			i.mustFind(sick{name: "a forged token", args: []string{"--token", header + "." + payload + ".AAAA"}, check: "token", verdict: doctor.Failed, says: "does not take the token, whose issuer is " + issuer})
			i.mustFind(sick{name: "another audience", environ: with(i.environ, "CALLOUT_AUDIENCE=other"), check: "token", verdict: doctor.Failed, says: "not for the API's audience other"})
			i.mustFind(sick{name: "nobody calling", args: []string{"--api", api, "--data", t.TempDir()}, check: "token", verdict: doctor.Skipped, says: "nobody said"})
			i.mustFind(sick{name: "a viewer", args: []string{"--client", "viewer"}, check: "permissions", verdict: doctor.Warning, says: "lacks action.target.write, action.target.delete, action.execution.write, action.hook.invoke, action.event.publish, action.delivery.write, action.catalog.write"})
			i.mustFind(sick{name: "a caller without roles", args: []string{"--client", "nobody"}, check: "permissions", verdict: doctor.Failed, says: "has none"})
			for name, tt := range map[string]struct {
				by      time.Duration
				verdict doctor.Verdict
				says    string
			}{
				"a clock ahead": {10 * time.Minute, doctor.Failed, "the API is 10m"}, "a clock behind": {-time.Hour, doctor.Failed, "the API is 1h0m"},
				"a clock that is a little off": {10 * time.Second, doctor.Warning, "ahead of this machine"},
			} {
				answer = dated(tt.by)
				i.mustFind(sick{name: name, args: []string{"--api", "http://" + strange, "--data", t.TempDir()}, check: "clock", verdict: tt.verdict, says: tt.says})
			}
			answer = func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/oauth/v2/keys" {
					w.WriteHeader(http.StatusBadGateway)
					return
				}
				proxy.ServeHTTP(w, r)
			}
			i.mustFind(sick{name: "no payload keys", args: []string{"--api", "http://" + strange}, check: "payload keys", verdict: doctor.Failed, says: "answers 502"})

			time.Sleep(time.Hour - 30*time.Second)
			i.mustFind(sick{name: "a token about to end", args: []string{"--token", old}, check: "token", verdict: doctor.Warning, says: "ends in"})
			time.Sleep(time.Hour)
			i.mustFind(sick{name: "a token that has ended", args: []string{"--token", old}, check: "token", verdict: doctor.Failed, says: "it ended"})
		})
	})
}

func TestDoctorNamesWhatIsWrongInside(t *testing.T) {
	t.Parallel()
	signingKeys()
	synctest.Test(t, func(t *testing.T) {
		install(t, t.TempDir(), sealK1, func(i installed) {
			i.ok("target", "create", "--name", "here", "--endpoint", "http://127.0.0.1:9000/")
			i.ok("target", "create", "--name", "far", "--endpoint", "https://93.184.216.34/")
			environ := func(changes ...string) []string { return with(i.environ, changes...) }
			for _, s := range []sick{
				{name: "a broken environment", environ: environ("CALLOUT_RETENTION=soon", "CALLOUT_EGRESS_ALLOW=10.0.0.0/99"), check: "configuration", verdict: doctor.Failed, says: "CALLOUT_EGRESS_ALLOW"},
				{name: "no Firestore", environ: environ("FIRESTORE_EMULATOR_HOST=127.0.0.1:1"), check: "firestore", verdict: doctor.Failed, says: "at 127.0.0.1:1"},
				{name: "the key is lost", environ: environ("CALLOUT_SEAL_KEYS=" + sealK2), check: "seal keys", verdict: doctor.Failed, says: `2 of 2 values cannot be opened; the first is instances/default/targets/`},
				{name: "another key is first", environ: environ("CALLOUT_SEAL_KEYS=" + sealK2 + "," + sealK1), check: "seal keys", verdict: doctor.Warning, says: "2 of them with another key"},
				{name: "no seal.key", environ: []string{"A=b"}, check: "seal keys", verdict: doctor.Failed, says: "no seal.key"},
				{name: "no Pub/Sub", environ: environ("PUBSUB_EMULATOR_HOST=127.0.0.1:1"), check: "pub/sub", verdict: doctor.Failed, says: "at 127.0.0.1:1"},
				{name: "another project", environ: environ("GOOGLE_CLOUD_PROJECT=other"), check: "pub/sub", verdict: doctor.Failed, says: "there is no topic events"},
				{name: "another audience of pushes", environ: environ("CALLOUT_PUSH_AUDIENCE=other"), check: "pub/sub", verdict: doctor.Failed, says: "CALLOUT_PUSH_AUDIENCE is other"},
				{name: "another account of pushes", environ: environ("CALLOUT_PUSH_ACCOUNTS=other@example.org"), check: "pub/sub", verdict: doctor.Failed, says: "who is not among CALLOUT_PUSH_ACCOUNTS"},
				{name: "a target that is not public", environ: environ("CALLOUT_EGRESS_ALLOW="), check: "egress", verdict: doctor.Failed, says: "of 2 targets, 1 may not be called: here (127.0.0.1 is not public"},
				{name: "a target that is denied", environ: environ("CALLOUT_EGRESS_DENY=93.184.216.0/24"), check: "egress", verdict: doctor.Failed, says: "1 may not be called: far ("},
				{name: "both beside local.json", environ: []string{"CALLOUT_SEAL_KEYS=" + sealK1, "CALLOUT_EGRESS_DENY=93.184.216.34,127.0.0.1"}, check: "egress", verdict: doctor.Warning, says: "2 may not be called"},
			} {
				i.mustFind(s)
			}
			i.ok("target", "update", "far", "--endpoint", "https://hooks.example.org/")
			i.mustFind(sick{name: "a name that resolves", check: "egress", verdict: doctor.OK, says: "2 targets"})
			i.ok("target", "update", "far", "--endpoint", "https://gone.example.org/")
			i.mustFind(sick{name: "a name that does not", check: "egress", verdict: doctor.Warning, says: "1 have a name that does not resolve here: far (gone.example.org)"})
			i.mustFind(sick{name: "no indexes", environ: environ("FIRESTORE_EMULATOR_HOST=" + i.bareFirestore()), check: "indexes", verdict: doctor.Failed, says: "deliveries by lane, due; deliveries by shard, state, created descending"})
			i.spoilSubscriptions()
		})
	})
}

// bareFirestore serves one without indexes.
func (i installed) bareFirestore() string {
	const address = "127.0.0.1:7002"
	store, err := storage.Open(storage.Options{})
	if err != nil {
		i.t.Fatal(err)
	}
	f, err := firestore.New(firestore.Options{Store: store, Strict: true})
	if err != nil {
		i.t.Fatal(err)
	}
	server := grpc.NewServer()
	f.Register(server)
	l, err := i.listen(i.t.Context(), "tcp", address)
	if err != nil {
		i.t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }() // until it is stopped
	name := "projects/" + local.Project + "/databases/(default)"
	_, err = f.Commit(i.t.Context(), &firestorepb.CommitRequest{Database: name, Writes: []*firestorepb.Write{{Operation: &firestorepb.Write_Update{
		Update: &firestorepb.Document{Name: name + "/documents/instances/default/deliveries/d"}}}}}) // it asks for no index where nothing is
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() {
		server.Stop()
		f.Close()
		if err := store.Close(); err != nil {
			i.t.Error(err)
		}
	})
	return address
}

// spoilSubscriptions changes one thing after the other of how topics are pushed, and asks the doctor each time.
func (i installed) spoilSubscriptions() {
	i.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+pubsubAddress, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return i.dial(ctx, "tcp", address) }))
	if err != nil {
		i.t.Fatal(err)
	}
	defer conn.Close()
	subscriber, publisher := pubsubpb.NewSubscriberClient(conn), pubsubpb.NewPublisherClient(conn)
	name := func(kind, name string) string { return "projects/" + local.Project + "/" + kind + "/" + name }
	update := func(subscription string, s *pubsubpb.Subscription, paths ...string) {
		s.Name = name("subscriptions", subscription)
		if _, err := subscriber.UpdateSubscription(i.t.Context(), &pubsubpb.UpdateSubscriptionRequest{Subscription: s, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}}); err != nil {
			i.t.Fatal(err)
		}
	}
	find := func(what, says string) {
		i.mustFind(sick{name: what, check: "pub/sub", verdict: doctor.Failed, says: says})
	}
	update("dispatch", &pubsubpb.Subscription{DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: name("topics", "dead-letters"), MaxDeliveryAttempts: 5}}, "dead_letter_policy")
	find("a dead-letter policy", "the subscription dispatch has a dead-letter policy")
	update("sweep", &pubsubpb.Subscription{AckDeadlineSeconds: 10}, "ack_deadline_seconds")
	find("an ack deadline", "the subscription sweep has an ack deadline of 10s, and not of 10m0s")
	update("deliver", &pubsubpb.Subscription{PushConfig: &pubsubpb.PushConfig{PushEndpoint: "http://127.0.0.1:8080/push/deliver"}}, "push_config")
	find("a push without a token", "the subscription deliver pushes without a token")
	update("deliver-slow", &pubsubpb.Subscription{PushConfig: &pubsubpb.PushConfig{}}, "push_config")
	find("no push", "nothing pushes the topic deliveries-slow to /push/deliver-slow")
	_, err = subscriber.CreateSubscription(i.t.Context(), &pubsubpb.Subscription{Name: name("subscriptions", "twice"), Topic: name("topics", "events"), AckDeadlineSeconds: 600,
		PushConfig: &pubsubpb.PushConfig{PushEndpoint: "http://127.0.0.1:8080/push/dispatch"}})
	if err != nil {
		i.t.Fatal(err)
	}
	find("two pushes", "2 subscriptions push the topic events to /push/dispatch")
	if _, err := publisher.DeleteTopic(i.t.Context(), &pubsubpb.DeleteTopicRequest{Topic: name("topics", "ticks")}); err != nil {
		i.t.Fatal(err)
	}
	find("no topic", "there is no topic ticks")
}
