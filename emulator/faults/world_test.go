package faults_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	firestore "cloud.google.com/go/firestore/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/shared/logging"
)

// keys are made once: two RSA keys cost more than everything else in a scenario.
var keys = sync.OnceValues(func() ([]*rsa.PrivateKey, error) {
	var made []*rsa.PrivateKey
	for range 2 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		made = append(made, key)
	}
	return made, nil
})

// network is names instead of addresses: what listens under a name is reached under it.
type network struct {
	mu        sync.Mutex
	listeners map[string]*memnet.Listener
}

func (n *network) listen(address string) (net.Listener, error) {
	l := memnet.Listen(address)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners[address] = l // the one before it is closed: this is a restart
	return l, nil
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("dial %s: nobody listens", address)
	}
	return l.Dial(ctx)
}

// world is an installation in one process and in virtual time, with targets that misbehave and an injector before its services.
type world struct {
	t      *testing.T
	net    *network
	config local.Config
	local  *local.Local
	inject *injector
	began  time.Time

	api       *api
	firestore *firestore.Client
	pubsub    *grpc.ClientConn

	sites   map[string]*site
	routes  map[string][]string // event type to the names of its targets, in order
	sent    map[string]string   // acknowledged events, id to type
	letters map[string]bool     // deliveries that the dead letters tell of
	targets *http.Transport
}

// newWorld starts an installation; it ends with the test. Call it in a bubble.
func newWorld(t *testing.T, seed uint64, change func(*local.Config)) *world {
	t.Helper()
	w := &world{
		t: t, net: &network{listeners: map[string]*memnet.Listener{}}, inject: newInjector(seed), began: time.Now(), sites: map[string]*site{},
		routes: map[string][]string{}, sent: map[string]string{}, letters: map[string]bool{},
	}
	// As package egress sets its transport up, but for the addresses.
	w.targets = &http.Transport{
		DialContext: w.net.dial, TLSHandshakeTimeout: 10 * time.Second, DisableCompression: true, MaxIdleConnsPerHost: 64,
		IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
	w.config = local.Config{
		Listen: "127.0.0.1:8080", Firestore: "127.0.0.1:8081", PubSub: "127.0.0.1:8085", Issuer: "127.0.0.1:8082",
		EgressAllow: local.DefaultEgressAllow, Log: logging.Discard(), NewListener: w.net.listen, NewKey: nextKey(), Dial: w.inject.options(),
		MemTableBytes: 256 << 10, // hours are looked through second by second, and little is written in them
		Targets:       &http.Client{Transport: w.targets, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	if change != nil {
		change(&w.config)
	}
	w.start()
	t.Cleanup(w.stop)
	w.watchLetters()
	return w
}

func nextKey() func() (*rsa.PrivateKey, error) {
	n := 0
	return func() (*rsa.PrivateKey, error) {
		made, err := keys()
		if err != nil {
			return nil, err
		}
		n++
		return made[n%len(made)], nil
	}
}

func (w *world) start() {
	w.t.Helper()
	l, err := local.Start(context.Background(), w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.local = l
	transport := &http.Transport{DialContext: w.net.dial}
	w.api = newAPI(l.Info, &http.Client{Transport: transport})
	if w.firestore, err = firestore.NewClient(context.Background(), option.WithGRPCConn(w.conn(l.Info.Firestore)), option.WithTelemetryDisabled()); err != nil {
		w.t.Fatal(err)
	}
	w.pubsub = w.conn(l.Info.PubSub)
}

func (w *world) stop() {
	w.inject.disarm()
	w.api.http.CloseIdleConnections()
	w.targets.CloseIdleConnections()
	_, _ = w.firestore.Close(), w.pubsub.Close()
	if err := w.local.Close(context.Background()); err != nil {
		w.t.Errorf("close: %v", err)
	}
}

func (w *world) conn(address string) *grpc.ClientConn {
	w.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return w.net.dial(ctx, "", address) }))
	if err != nil {
		w.t.Fatal(err)
	}
	return conn
}

// site makes a target; https says that its endpoint claims to speak TLS.
func (w *world) site(name string, b behaviour, options ...string) *site {
	w.t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", 9000+len(w.sites))
	l, err := w.net.listen(address)
	if err != nil {
		w.t.Fatal(err)
	}
	scheme, interrupts := "http", false
	for _, o := range options {
		switch o {
		case "https":
			scheme = "https"
		case "interrupts":
			interrupts = true
		}
	}
	s := newSite(scheme + "://" + address + "/" + name)
	s.become(b)
	s.serve(w.t, l)
	w.sites[name], s.address = s, address
	for k := 0; s.target == ""; k++ { // a database that forgets to answer may have made the one before
		status, answer, err := w.api.call("POST", "/v2/actions/targets", map[string]any{
			"name": fmt.Sprintf("%s-%d", name, k), "restWebhook": map[string]any{"interruptOnError": interrupts}, "timeout": "5s", "endpoint": s.endpoint,
		})
		if err != nil || k == 100 {
			w.t.Fatal(status, answer, err)
		}
		s.target, _ = answer["id"].(string)
	}
	return s
}

// adopt serves the targets of a world that is over.
func (w *world) adopt(from *world) {
	w.t.Helper()
	for name, s := range from.sites {
		l, err := w.net.listen(s.address)
		if err != nil {
			w.t.Fatal(err)
		}
		w.sites[name] = s
		s.serve(w.t, l)
	}
}

// settings changes how events are delivered to a target.
func (w *world) settings(name string, settings map[string]any) {
	w.t.Helper()
	w.api.must(w.t, "PATCH", "/v1/targets/"+w.sites[name].target+"/delivery", settings)
}

// route says which targets get events of a type.
func (w *world) route(eventType string, names ...string) {
	w.t.Helper()
	var targets []string
	for _, name := range names {
		targets = append(targets, w.sites[name].target)
	}
	w.routes[eventType] = names
	w.api.must(w.t, "PUT", "/v2/actions/executions", map[string]any{"condition": map[string]any{"event": map[string]any{"event": eventType}}, "targets": targets})
}

// send publishes n events of a type in one request, and again until it is acknowledged.
func (w *world) send(eventType, prefix string, n int) {
	w.t.Helper()
	var batch []map[string]any
	for k := range n {
		id := fmt.Sprintf("%s-%d", prefix, k)
		batch = append(batch, map[string]any{"id": id, "event_type": eventType, "event_payload": map[string]any{"n": k, "text": strings.Repeat("x", 200)}})
	}
	w.api.must(w.t, "POST", "/v1/events", map[string]any{"events": batch})
	for _, e := range batch {
		w.sent[e["id"].(string)] = eventType
	}
}

// stream publishes n events one after another, and says when each was acknowledged.
func (w *world) stream(eventType string, n int, every time.Duration) map[string]time.Time {
	w.t.Helper()
	sent := map[string]time.Time{}
	for range n {
		prefix := fmt.Sprintf("%s-%d", strings.ReplaceAll(eventType, ".", "-"), len(w.sent)) // webhook-id writes a dot differently
		w.send(eventType, prefix, 1)
		sent[prefix+"-0"] = time.Now()
		time.Sleep(every)
	}
	return sent
}

// redeliverAll puts back all that is dead for a target, as the caller's loop does it.
func (w *world) redeliverAll(name string) {
	w.t.Helper()
	for token := ""; ; {
		answer := w.api.must(w.t, "POST", "/v1/deliveries:redeliver", map[string]any{
			"filter": map[string]any{"target": w.sites[name].target, "states": []string{"dead"}}, "pageToken": token,
		})
		if token, _ = answer["nextPageToken"].(string); token == "" {
			return
		}
	}
}

// watchLetters subscribes to the dead letters.
func (w *world) watchLetters() {
	w.t.Helper()
	_, err := pubsubpb.NewSubscriberClient(w.pubsub).CreateSubscription(context.Background(), &pubsubpb.Subscription{
		Name: lettersName, Topic: "projects/" + local.Project + "/topics/dead-letters", AckDeadlineSeconds: 600,
	})
	if err != nil && status.Code(err) != codes.AlreadyExists { // as after a restart
		w.t.Fatal(err)
	}
}

const lettersName = "projects/" + local.Project + "/subscriptions/fault-suite"

// readLetters takes what dead letters there are.
func (w *world) readLetters() {
	w.t.Helper()
	subscriber := pubsubpb.NewSubscriberClient(w.pubsub)
	for {
		request := &pubsubpb.PullRequest{Subscription: lettersName, MaxMessages: 1000}
		//lint:ignore SA1019 nothing else says that there is nothing
		request.ReturnImmediately = true
		answer, err := subscriber.Pull(context.Background(), request)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(answer.ReceivedMessages) == 0 {
			return
		}
		var acks []string
		for _, m := range answer.ReceivedMessages {
			var letter struct{ Delivery string }
			if err := json.Unmarshal(m.Message.Data, &letter); err != nil {
				w.t.Fatal(err)
			}
			w.letters[letter.Delivery] = true
			acks = append(acks, m.AckId)
		}
		if _, err := subscriber.Acknowledge(context.Background(), &pubsubpb.AcknowledgeRequest{Subscription: lettersName, AckIds: acks}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// api calls the API as an administrator, as often as it takes: a request that was refused for a fault of ours may be made again.
type api struct {
	base string
	http *http.Client
}

func newAPI(info local.Info, base *http.Client) *api {
	c := clientcredentials.Config{
		ClientID: info.Clients["admin"].ID, ClientSecret: info.Clients["admin"].Secret, TokenURL: info.Issuer + "/oauth/v2/token",
		Scopes: []string{"openid", "urn:zitadel:iam:org:project:id:zitadel:aud"},
	}
	return &api{base: info.API, http: c.Client(context.WithValue(context.Background(), oauth2.HTTPClient, base))}
}

func (a *api) call(method, path string, body any) (int, map[string]any, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequest(method, a.base+path, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	if text, err = io.ReadAll(response.Body); err != nil {
		return 0, nil, err
	}
	answer := map[string]any{}
	return response.StatusCode, answer, json.Unmarshal(text, &answer)
}

func (a *api) must(t *testing.T, method, path string, body any) map[string]any {
	t.Helper()
	var status int
	var answer map[string]any
	var err error
	for range 2000 {
		status, answer, err = a.call(method, path, body)
		if err == nil && status/100 == 2 {
			return answer
		}
		if err == nil && status/100 == 4 && status != http.StatusTooManyRequests {
			break
		}
		time.Sleep(5 * time.Second)
	}
	t.Fatalf("%s %s: %d %v %v", method, path, status, answer, err)
	return nil
}

// elapsed is how long the world has existed.
func (w *world) elapsed() time.Duration { return time.Since(w.began) }

func sum(counts map[string]int) int {
	all := 0
	for n := range maps.Values(counts) {
		all += n
	}
	return all
}
