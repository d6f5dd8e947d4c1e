package infra_test

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
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/emulator/local/localtest"
	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/functions/all"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/queue"
	"github.com/callout-dev/callout/shared/seal"
)

const (
	firestoreService = "/google.firestore.v1.Firestore/"
	publishMethod    = "/google.pubsub.v1.Publisher/Publish"
)

// permissions are those that a call needs, as Google's references of the two services list them.
func permissions(method string, request any) ([]string, error) {
	const get, list, database = "datastore.entities.get", "datastore.entities.list", "datastore.databases.get"
	switch strings.TrimPrefix(method, firestoreService) {
	case "GetDocument", "BatchGetDocuments":
		return []string{get}, nil
	case "RunQuery", "RunAggregationQuery", "ListDocuments", "PartitionQuery", "Listen":
		return []string{get, list}, nil
	case "BeginTransaction", "Rollback":
		return []string{database}, nil
	case "Commit":
		return written(request.(*firestorepb.CommitRequest).GetWrites()), nil
	case "BatchWrite":
		return written(request.(*firestorepb.BatchWriteRequest).GetWrites()), nil
	case publishMethod:
		topic := request.(*pubsubpb.PublishRequest).GetTopic()
		return []string{"pubsub.topics.publish " + topic[strings.LastIndexByte(topic, '/')+1:]}, nil
	}
	return nil, fmt.Errorf("%s: it is not in the table which permission that needs", method)
}

// written are the permissions of writes: which one depends on what a write says of the document before it.
func written(writes []*firestorepb.Write) (all []string) {
	const create, update, remove = "datastore.entities.create", "datastore.entities.update", "datastore.entities.delete"
	for _, w := range writes {
		before := w.GetCurrentDocument()
		exists, said := before.GetConditionType().(*firestorepb.Precondition_Exists)
		switch {
		case w.GetDelete() != "":
			all = append(all, remove)
		case said && !exists.Exists:
			all = append(all, create)
		case said || before.GetUpdateTime() != nil:
			all = append(all, update)
		default:
			all = append(all, create, update)
		}
	}
	return all
}

// databaseRoles are what local.settings may give of the database, the smaller first, with those of their permissions that matter here.
var databaseRoles = []struct {
	name        string
	permissions []string
}{
	{"reader", []string{"datastore.databases.get", "datastore.entities.get", "datastore.entities.list"}},
	{"writer", []string{"datastore.databases.get", "datastore.entities.get", "datastore.entities.list",
		"datastore.entities.create", "datastore.entities.update", "datastore.entities.delete"}},
}

// grant is what a function is given: of the database, and topics to publish to.
type grant struct {
	Database  string
	Publishes []string
}

// needed is the least that has all permissions.
func needed(permissions []string) (grant, error) {
	var g grant
	var database []string
	for _, p := range permissions {
		if topic, ok := strings.CutPrefix(p, "pubsub.topics.publish "); ok {
			g.Publishes = append(g.Publishes, topic)
		} else {
			database = append(database, p)
		}
	}
	slices.Sort(g.Publishes)
	if len(database) == 0 {
		return g, nil
	}
	for _, role := range databaseRoles {
		missing := func(p string) bool { return !slices.Contains(role.permissions, p) }
		if !slices.ContainsFunc(database, missing) {
			g.Database = role.name
			return g, nil
		}
	}
	return g, fmt.Errorf("no role has %q", database)
}

func TestNeeded(t *testing.T) {
	const get, create = "datastore.entities.get", "datastore.entities.create"
	for _, tt := range []struct {
		permissions []string
		want        grant
	}{
		{nil, grant{}},
		{[]string{"pubsub.topics.publish b", "pubsub.topics.publish a"}, grant{"", []string{"a", "b"}}},
		{[]string{get}, grant{"reader", nil}},
		{[]string{get, create, "pubsub.topics.publish a"}, grant{"writer", []string{"a"}}},
	} {
		got, err := needed(tt.permissions)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", tt.permissions, err, diff)
		}
	}
	if _, err := needed([]string{"datastore.databases.create"}); err == nil {
		t.Error("a permission that no role has")
	}
	if _, err := permissions(firestoreService+"Write", nil); err == nil {
		t.Error("a call that is not in the table")
	}
}

// recorder stands between one function and its services, and notes which permissions its calls need.
type recorder struct {
	mu       sync.Mutex
	used     map[string]bool
	unknown  map[string]bool
	expiring map[string]bool // collections whose documents say when they may go
	refusing atomic.Bool     // it publishes nothing while this is so
}

func (r *recorder) note(method string, request any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, err := permissions(method, request)
	if err != nil {
		r.unknown[err.Error()] = true
	}
	for _, p := range all {
		r.used[p] = true
	}
	if w, ok := request.(interface{ GetWrites() []*firestorepb.Write }); ok {
		for _, w := range w.GetWrites() {
			if path := strings.Split(w.GetUpdate().GetName(), "/"); w.GetUpdate().GetFields()["expireAt"] != nil {
				r.expiring[path[len(path)-2]] = true
			}
		}
	}
}

func (r *recorder) unary(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
	next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	r.note(method, request)
	if method == publishMethod && r.refusing.Load() {
		return status.Error(codes.PermissionDenied, "refused by the test")
	}
	return next(ctx, method, request, reply, conn, opts...)
}

func (r *recorder) stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string,
	next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	r.note(method, nil)
	return next(ctx, desc, conn, method, opts...)
}

// site is an installation whose functions have clients of their own, as in the cloud.
type site struct {
	t         *testing.T
	mu        sync.Mutex
	listeners map[string]*memnet.Listener
	info      local.Info
	outside   *http.Client
	client    *http.Client
	recorders map[string]*recorder
	fails     atomic.Bool // whether targets answer with an error
}

func (s *site) listen(address string) (net.Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := memnet.Listen(address)
	s.listeners[address] = l
	return l, nil
}

func (s *site) dial(ctx context.Context, _, address string) (net.Conn, error) {
	s.mu.Lock()
	l := s.listeners[address]
	s.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("dial %s: nobody listens", address)
	}
	return l.Dial(ctx)
}

func (s *site) serve(address string, handler http.Handler) {
	s.t.Helper()
	l, err := s.listen(address)
	if err != nil {
		s.t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(l) }()
	s.t.Cleanup(func() { _ = server.Close() })
}

func (s *site) connect(address string, r *recorder) *grpc.ClientConn {
	s.t.Helper()
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.dial(ctx, "", address) })}
	if r != nil {
		options = append(options, grpc.WithChainUnaryInterceptor(r.unary), grpc.WithChainStreamInterceptor(r.stream))
	}
	conn, err := grpc.NewClient("passthrough:///"+address, options...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func newSite(t *testing.T, key *rsa.PrivateKey) *site {
	t.Helper()
	const functions, targets = "127.0.0.1:9090", "127.0.0.1:9000"
	s := &site{t: t, listeners: map[string]*memnet.Listener{}, recorders: map[string]*recorder{}}
	keys := seal.NewKey("k1")
	l, err := local.Start(t.Context(), local.Config{
		Listen: "127.0.0.1:8080", Firestore: "127.0.0.1:8081", PubSub: "127.0.0.1:8085", Issuer: "127.0.0.1:8082",
		Functions: "http://" + functions, EgressAllow: local.DefaultEgressAllow, Log: logging.Discard(), Environ: []string{"CALLOUT_SEAL_KEYS=" + keys},
		NewListener: s.listen, DialPush: s.dial, NewKey: func() (*rsa.PrivateKey, error) { return key, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.info = l.Info
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	transport := &http.Transport{DialContext: s.dial}
	t.Cleanup(transport.CloseIdleConnections)
	outside := &http.Client{Transport: transport}
	s.outside = outside
	s.client = (&clientcredentials.Config{
		ClientID: l.Info.Clients["admin"].ID, ClientSecret: l.Info.Clients["admin"].Secret, TokenURL: l.Info.Issuer + "/oauth/v2/token",
		Scopes: []string{"openid", "urn:zitadel:iam:org:project:id:zitadel:aud"},
	}).Client(context.WithValue(t.Context(), oauth2.HTTPClient, outside))
	mux := http.NewServeMux()
	for _, f := range all.Functions() {
		handler := s.function(f, keys, transport, outside)
		for _, path := range f.Paths {
			mux.Handle(path, handler)
		}
	}
	s.serve(functions, mux)
	s.serve(targets, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil && s.fails.Load() && r.URL.Path != "/well" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	return s
}

// function opens the clients of one function, with the recorder between, and gives what serves it.
func (s *site) function(f host.Function, keys string, network http.RoundTripper, targets *http.Client) http.Handler {
	s.t.Helper()
	config, err := env.Read([]string{
		"FUNCTION_TARGET=" + f.Name, "GOOGLE_CLOUD_PROJECT=" + local.Project,
		"CALLOUT_ISSUER=" + s.info.Issuer, "CALLOUT_AUDIENCE=" + local.Audience,
		"CALLOUT_PUSH_ISSUER=" + s.info.Issuer, "CALLOUT_PUSH_AUDIENCE=" + local.PushAudience, "CALLOUT_PUSH_ACCOUNTS=" + local.PushAccount,
		"CALLOUT_SEAL_KEYS=" + keys, "CALLOUT_EGRESS_ALLOW=" + local.DefaultEgressAllow,
		"CALLOUT_URL=" + s.info.API, "CALLOUT_CONSOLE_CLIENT_ID=" + s.info.Clients["console"].ID,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	r := &recorder{used: map[string]bool{}, unknown: map[string]bool{}, expiring: map[string]bool{}}
	s.recorders[f.Name] = r
	clients, err := env.Open(s.t.Context(), config, env.Network{
		Firestore: s.connect(s.info.Firestore, r), PubSub: s.connect(s.info.PubSub, r), Issuer: network, API: network, Targets: targets,
	}, logging.Discard())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = clients.Close() })
	routes, err := host.Routes(clients, []host.Function{f})
	if err != nil {
		s.t.Fatal(err)
	}
	return routes
}

type object = map[string]any

// must makes one request, which must be answered well.
func (s *site) must(method, path string, body any) object {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.info.API+path, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err = io.ReadAll(response.Body); err != nil || response.StatusCode/100 != 2 {
		s.t.Fatalf("%s %s: %d %s %v", method, path, response.StatusCode, text, err)
	}
	answer := object{}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &answer); err != nil {
			s.t.Fatal(err)
		}
	}
	return answer
}

func (s *site) target(name string, more object) string {
	s.t.Helper()
	body := object{"name": name, "restWebhook": object{}, "timeout": "5s", "endpoint": "http://127.0.0.1:9000/" + name}
	maps.Copy(body, more)
	return s.must("POST", "/v2/actions/targets", body)["id"].(string)
}

func (s *site) execute(condition object, targets ...string) {
	s.t.Helper()
	s.must("PUT", "/v2/actions/executions", object{"condition": condition, "targets": targets})
}

func (s *site) publish(eventType, id string) {
	s.t.Helper()
	s.must("POST", "/v1/events", object{"id": id, "event_type": eventType, "event_payload": object{"n": 1}})
}

// live makes every function do all that it does: the happy path, failures, retries, the end of them, and what crashes leave behind.
func (s *site) live() {
	event := func(name string) object { return object{"event": object{"event": name}} }
	well := s.target("well", object{"payloadType": "PAYLOAD_TYPE_JWT"})
	gate := s.target("gate", object{"restWebhook": object{"interruptOnError": true}})
	lost := s.target("lost", nil)
	doomed := s.target("doomed", nil)
	later := s.target("later", object{"restWebhook": nil, "restAsync": object{}})
	s.execute(event("order.created"), gate, well)
	s.execute(event("order.lost"), lost)
	s.execute(event("order.doomed"), doomed)
	s.execute(object{"request": object{"method": "/acme.v1.Orders/Create"}}, later)
	for _, path := range []string{"/v2/actions/targets/search", "/v2/actions/executions/search"} {
		s.must("POST", path, object{})
	}
	s.must("GET", "/v2/actions/targets/"+well, nil)
	s.must("POST", "/v2/actions/targets/"+well, object{"name": "well again"})
	s.must("PUT", "/v1/catalog/orders", object{"events": []string{"order.created"}})
	s.must("GET", "/v1/catalog", nil)
	s.must("DELETE", "/v1/catalog/orders", nil)
	s.must("POST", "/v1/hooks:invoke", object{"request": object{"fullMethod": "/acme.v1.Orders/Create", "request": object{"a": 1}}})
	s.must("GET", "/oauth/v2/keys", nil)
	s.must("POST", "/v1/keys:rotate", object{})

	s.publish("order.created", "well")
	time.Sleep(10 * time.Second)
	s.fails.Store(true)
	s.must("PATCH", "/v1/targets/"+lost+"/delivery", object{"schedule": []string{"2s"}})
	for k := range 8 { // enough for a breaker
		s.publish("order.created", fmt.Sprint("gate-", k))
		s.publish("order.lost", fmt.Sprint("lost-", k))
		s.publish("order.doomed", fmt.Sprint("doomed-", k))
		time.Sleep(time.Second)
	}
	time.Sleep(3 * time.Minute)
	s.fails.Store(false)
	time.Sleep(10 * time.Minute)

	found := s.must("POST", "/v1/deliveries/search", object{"filter": object{"target": lost, "states": []string{"dead"}}, "counts": true})
	dead, _ := found["deliveries"].([]any)
	if len(dead) == 0 {
		s.t.Fatalf("nothing is dead: %v", found)
	}
	id := dead[0].(object)["id"].(string)
	s.must("GET", "/v1/deliveries/"+id, nil)
	s.must("POST", "/v1/deliveries/"+id+":redeliver", object{})
	s.must("POST", "/v1/deliveries:redeliver", object{"filter": object{"target": lost, "states": []string{"dead"}}})
	s.must("GET", "/v1/events/well:explain", nil)
	s.must("POST", "/v1/targets/"+well+":test", object{})
	s.must("POST", "/v1/targets/"+well+":pause", object{})
	s.publish("order.created", "paused")
	time.Sleep(2 * time.Second)
	s.must("POST", "/v1/targets/"+well+":resume", object{})
	s.must("GET", "/v1/targets/"+well+"/delivery", nil)
	s.must("DELETE", "/v1/events/well", nil)
	time.Sleep(2 * time.Minute)

	// Somebody looks at that in a browser.
	browser := localtest.NewBrowser(s.outside)
	if page := browser.SignIn(s.t, s.info.API, "/console/deliveries", "admin", s.info.Clients["admin"].Secret); page.Status != http.StatusOK {
		s.t.Fatalf("the console: %d %s", page.Status, page.Body)
	}
	browser.Post(s.t, "/console/signout", nil)

	// A target that goes with deliveries unfinished.
	s.must("POST", "/v1/targets/"+doomed+":pause", object{})
	s.publish("order.doomed", "doomed")
	time.Sleep(2 * time.Second)
	s.must("DELETE", "/v2/actions/targets/"+doomed, nil)

	// A change whose event the process that made it could not publish, and a message that is none.
	s.recorders["targets"].refusing.Store(true)
	s.must("POST", "/v2/actions/targets/"+lost, object{"name": "lost again"})
	s.recorders["targets"].refusing.Store(false)
	_, err := pubsubpb.NewPublisherClient(s.connect(s.info.PubSub, nil)).Publish(s.t.Context(), &pubsubpb.PublishRequest{
		Topic: "projects/" + local.Project + "/topics/" + string(queue.Events), Messages: []*pubsubpb.PubsubMessage{{Data: []byte("no event")}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(5 * time.Minute)
}

// timesToLive are the collections that the configuration lets expire by expireAt.
func timesToLive(e evaluation) []string {
	var all []string
	for it := e.locals["database"].GetAttr("fieldOverrides").ElementIterator(); it.Next(); {
		if _, f := it.Element(); f.Type().HasAttribute("ttl") && f.GetAttr("fieldPath").AsString() == "expireAt" {
			all = append(all, f.GetAttr("collectionGroup").AsString())
		}
	}
	return sorted(all)
}

// TestRolesAreThoseThatCallsNeed: each function is given what the calls it makes need, and nothing else.
func TestRolesAreThoseThatCallsNeed(t *testing.T) {
	e := gcpConfiguration(t).evaluate(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, key)
		s.live()
		expiring := map[string]bool{}
		for name, r := range s.recorders {
			r.mu.Lock()
			used, unknown := slices.Sorted(maps.Keys(r.used)), slices.Sorted(maps.Keys(r.unknown))
			maps.Copy(expiring, r.expiring)
			r.mu.Unlock()
			t.Logf("%s: %s", name, strings.Join(used, ", "))
			for _, call := range unknown {
				t.Errorf("%s: %s", name, call)
			}
			want, err := needed(used)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got := grant{Publishes: sorted(texts(setting(t, e, name, "publishes")))}
			if database := setting(t, e, name, "database"); !database.IsNull() {
				got.Database = database.AsString()
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s is not given what it needs (-needs +is given):\n%s", name, diff)
			}
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(expiring)), timesToLive(e)); diff != "" {
			t.Errorf("collections whose documents expire (-seen +in the configuration):\n%s", diff)
		}
	})
}
