package local_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"google.golang.org/grpc/metadata"

	"github.com/callout-dev/callout/emulator/local/localtest"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	"github.com/callout-dev/callout/shared/signature/envelope"
)

// TestImage runs what the cloud runs: the binary of the image as scripts/image writes it, one process for each service, pushed to with an
// account and an audience of its own.
func TestImage(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: builds the image and runs a process for each function")
	}
	if runtime.GOOS != "linux" {
		t.Skip("the image is for Linux")
	}
	bin := t.TempDir()
	emulator := filepath.Join(bin, "emulator")
	compile(t, emulator, "../../emulator")
	bare := filepath.Join(bin, "bare")
	compile(t, bare, "./testdata/bare")
	c := newCloud(t, emulator, extract(t, bin))
	r, key := c.receiver(t)

	t.Run("real events", func(t *testing.T) {
		checkRealEvents(t, c.as(t, "admin"), topic(t, c.connect(t, c.info.PubSub)), key, r.all)
	})
	t.Run("a retry goes the slow way", c.checkRetry)
	t.Run("every face of every function answers", c.checkFaces)
	t.Run("no other push is taken", c.checkPushes)
	t.Run("a start asks nobody", c.checkLazy)
	t.Run("a job ticks", c.checkTick)
	t.Run("starts", func(t *testing.T) { c.checkStarts(t, bare) })
}

// compile builds a program as the image is built, so that they share what was compiled.
func compile(t testing.TB, to, program string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", to, program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", program, err, out)
	}
}

// extract writes the image for this machine, and takes the binary out of it.
func extract(t *testing.T, into string) string {
	t.Helper()
	folder := filepath.Join(into, "image")
	write := exec.CommandContext(t.Context(), "go", "run", "./scripts/image", "-o", folder, "-platforms", "linux/"+runtime.GOARCH)
	write.Dir = "../.."
	if out, err := write.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	top, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := top.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	index, err := top.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if manifest, err = index.IndexManifest(); err != nil {
		t.Fatal(err)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil || len(config.Config.Entrypoint) != 1 {
		t.Fatal(config, err)
	}
	files := mutate.Extract(image)
	defer files.Close()
	for r := tar.NewReader(files); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			t.Fatalf("the image has no %s", config.Config.Entrypoint[0])
		} else if err != nil {
			t.Fatal(err)
		}
		if "/"+h.Name != config.Config.Entrypoint[0] {
			continue
		}
		program, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(into, "functions")
		if err := os.WriteFile(path, program, h.FileInfo().Mode()); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// receiver is a target of all of GitHub's events, and its signing key.
func (c *cloud) receiver(t *testing.T) (*receiver, string) {
	t.Helper()
	r, url := receiveAnywhere(t, nil)
	_, key := c.as(t, "admin").route(t, url, map[string]any{"event": map[string]any{"group": "github"}})
	return r, key
}

func receiveAnywhere(t *testing.T, answer func(int, received) int) (*receiver, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return receive(t, l, answer), "http://" + l.Addr().String() + "/hook"
}

// next is what a receiver gets next.
func (r *receiver) next(t *testing.T) received {
	t.Helper()
	select {
	case got := <-r.all:
		return got
	case <-time.After(time.Minute):
		t.Fatal("nothing arrived")
		return received{}
	}
}

// checkRetry: the first attempt is deliver's, the sweeper brings the second one back, and deliver-slow makes it. Its payload is a JWT,
// whose keys the function keys publishes.
func (c *cloud) checkRetry(t *testing.T) {
	api := c.as(t, "admin")
	r, url := receiveAnywhere(t, func(n int, _ received) int { return map[bool]int{true: 503, false: 200}[n == 1] })
	target := api.must(t, 200, "POST", "/v2/actions/targets", map[string]any{
		"name": "second time", "restWebhook": map[string]any{}, "timeout": "10s", "endpoint": url, "payloadType": "PAYLOAD_TYPE_JWT",
	})
	api.must(t, 200, "PUT", "/v2/actions/executions", map[string]any{
		"condition": map[string]any{"event": map[string]any{"event": "image.retried"}}, "targets": []any{target["id"]},
	})
	api.must(t, 202, "POST", "/v1/events", map[string]any{"id": "r1", "event_type": "image.retried"})
	keys := envelope.NewPublished(c.router.url+"/oauth/v2/keys", http.DefaultClient)
	for attempt := 1; attempt <= 2; attempt++ {
		got := r.next(t)
		if n := got.Header.Get("Callout-Attempt"); n != fmt.Sprint(attempt) {
			t.Errorf("attempt %s, want %d", n, attempt)
		}
		if err := got.verify(target["signingKey"].(string)); err != nil {
			t.Error(err)
		}
		if body, err := envelope.VerifyJWT(t.Context(), got.Body, keys); err != nil || !strings.Contains(string(body), `"image.retried"`) {
			t.Errorf("%s: %v", body, err)
		}
	}
	for _, s := range services() {
		if s.event && c.router.last(s.paths[0]).token == "" {
			t.Errorf("nothing was pushed to %s", s.name)
		}
	}
}

// checkFaces asks each function over its faces, through the router: REST and Connect; and the one with the definitions over gRPC.
func (c *cloud) checkFaces(t *testing.T) {
	r, url := receiveAnywhere(t, nil)
	api := c.as(t, "admin")
	id, _ := api.route(t, url, map[string]any{"request": map[string]any{"method": "/image.v1.Faces/Ask"}})
	request := map[string]any{"request": map[string]any{"fullMethod": "/image.v1.Faces/Ask", "request": map[string]any{"n": 1}}}
	event := map[string]any{"events": []any{map[string]any{"event_type": "image.nobody"}}}
	none := map[string]any{}
	calls := []struct {
		function, method, path string
		body                   map[string]any
		want, nobody           int // nobody is the status for a caller without a role; 0 where all may call
	}{
		{"targets", "GET", "/v2/actions/targets/" + id, nil, 200, 404},
		{"targets", "POST", "/v2/actions/targets/search", none, 200, 404},
		{"targets", "POST", "/v2beta/actions/targets/search", none, 200, 404},
		{"targets", "POST", "/v2/actions/targets/" + id + "/publickeys/search", none, 200, 404},
		{"targets", "POST", "/zitadel.action.v2.ActionService/ListTargets", none, 200, 404},
		{"executions", "POST", "/v2/actions/executions/search", none, 200, 404},
		{"executions", "POST", "/zitadel.action.v2.ActionService/ListExecutions", none, 200, 404},
		{"executions", "GET", "/v2/actions/executions/functions", nil, 200, 200},
		{"executions", "GET", "/v1/catalog", nil, 200, 404},
		{"executions", "GET", "/openapi.json", nil, 200, 0},
		{"invoke", "POST", "/v1/hooks:invoke", request, 200, 404},
		{"invoke", "POST", "/callout.v1.HookService/Invoke", request, 200, 404},
		{"publish", "POST", "/v1/events", event, 202, 404},
		{"publish", "POST", "/callout.v1.EventService/Publish", event, 200, 404},
		{"deliveries", "POST", "/v1/deliveries/search", none, 200, 404},
		{"deliveries", "GET", "/v1/events/r1:explain", nil, 200, 404},
		{"deliveries", "GET", "/v1/targets/" + id + "/delivery", nil, 200, 404},
		{"deliveries", "POST", "/v1/targets/" + id + ":test", none, 200, 404},
		{"deliveries", "POST", "/callout.v1.DeliveryService/SearchDeliveries", none, 200, 404},
		{"keys", "GET", "/oauth/v2/keys", nil, 200, 0},
		{"keys", "GET", "/.well-known/openid-configuration", nil, 200, 0},
		{"keys", "POST", "/v1/keys:rotate", none, 200, 404},
	}
	asked := map[string]bool{}
	for _, call := range calls {
		asked[call.function] = true
		var body any
		if call.body != nil {
			body = call.body
		}
		if status, answer := api.call(t, call.method, call.path, "application/json", body); status != call.want {
			t.Errorf("%s %s: %d, want %d: %.300v", call.method, call.path, status, call.want, answer)
		}
		if call.nobody == 0 {
			continue
		}
		if status, answer := c.as(t, "nobody").call(t, call.method, call.path, "application/json", body); status != call.nobody {
			t.Errorf("%s %s: nobody gets %d, want %d: %.300v", call.method, call.path, status, call.nobody, answer)
		}
	}
	for range 3 { // the two hooks, and the test
		r.next(t)
	}
	browser := localtest.NewBrowser(http.DefaultClient)
	page := browser.SignIn(t, c.info.API, "/console/deliveries", "admin", c.info.Clients["admin"].Secret)
	if asked["console"] = true; page.Status != http.StatusOK || !strings.Contains(page.Body, "callout.test") {
		t.Errorf("the console: %d %s", page.Status, page.Body)
	}
	for _, s := range services() {
		if !s.event && !asked[s.name] {
			t.Errorf("%s was asked nothing", s.name)
		}
	}
	c.checkGRPC(t, id)
}

// checkGRPC goes past the router, which does not pass HTTP/2 on.
func (c *cloud) checkGRPC(t *testing.T, target string) {
	t.Helper()
	conn := c.connect(t, strings.TrimPrefix(c.running["targets"].base(t), "http://"))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+c.token(t, "admin"))
	var answer actionv2.GetTargetResponse
	err := conn.Invoke(ctx, "/zitadel.action.v2.ActionService/GetTarget", &actionv2.GetTargetRequest{Id: target}, &answer)
	if err != nil || answer.GetTarget().GetId() != target {
		t.Errorf("GetTarget: %v %v", &answer, err)
	}
}

func (c *cloud) token(t *testing.T, name string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.info.Issuer+"/oauth/v2/token",
		strings.NewReader("grant_type=client_credentials&scope=openid+urn:zitadel:iam:org:project:id:zitadel:aud"))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(c.info.Clients[name].ID, c.info.Clients[name].Secret)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Token == "" {
		t.Fatal(response.StatusCode, err)
	}
	return answer.Token
}

// checkPushes: a service takes pushes with its own account and its own audience, and no others, though the same issuer signed them all.
func (c *cloud) checkPushes(t *testing.T) {
	admin := "Bearer " + c.token(t, "admin")
	var pushed []service
	for _, s := range services() {
		if s.event {
			pushed = append(pushed, s)
		}
	}
	for n, s := range pushed {
		other := pushed[(n+1)%len(pushed)]
		last := c.router.last(s.paths[0])
		for _, attempt := range []struct {
			name, token string
			want        int
		}{
			{"its own", last.token, http.StatusNoContent},
			{"its own, as the queue makes it anew", c.pushToken(t, s.account(), s.audience()), http.StatusNoContent},
			{"the account of " + other.name, c.pushToken(t, other.account(), s.audience()), http.StatusForbidden},
			{"the audience of " + other.name, c.pushToken(t, s.account(), other.audience()), http.StatusUnauthorized},
			{"both of " + other.name, c.router.last(other.paths[0]).token, http.StatusUnauthorized},
			{"an administrator of the API", admin, http.StatusUnauthorized},
			{"nobody", "", http.StatusUnauthorized},
		} {
			t.Run(s.name+"/"+attempt.name, func(t *testing.T) {
				if got := c.push(t, c.running[s.name].base(t)+s.paths[0], push{attempt.token, last.body}); got != attempt.want {
					t.Errorf("%d, want %d", got, attempt.want)
				}
			})
		}
	}
}

// push sends a push past the queue and the router.
func (c *cloud) push(t *testing.T, url string, p push) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(p.body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if p.token != "" {
		request.Header.Set("Authorization", p.token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// pushToken is the Authorization header with which the queue pushes for an account to an audience: whoever may make subscriptions for
// that account gets it.
func (c *cloud) pushToken(t *testing.T, account, audience string) string {
	t.Helper()
	tokens := make(chan string, 1)
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case tokens <- r.Header.Get("Authorization"):
		default:
		}
	}))
	defer endpoint.Close()
	subscriber := pubsubpb.NewSubscriberClient(c.pubsub)
	subscription, err := subscriber.CreateSubscription(t.Context(), &pubsubpb.Subscription{
		Name: "projects/" + c.info.Project + "/subscriptions/listener", Topic: "projects/" + c.info.Project + "/topics/dead-letters",
		PushConfig: pushConfig(endpoint.URL, account, audience),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		gone := &pubsubpb.DeleteSubscriptionRequest{Subscription: subscription.Name}
		_, err := subscriber.DeleteSubscription(context.WithoutCancel(t.Context()), gone)
		if err != nil {
			t.Error(err)
		}
	}()
	_, err = pubsubpb.NewPublisherClient(c.pubsub).Publish(t.Context(), &pubsubpb.PublishRequest{
		Topic: subscription.Topic, Messages: []*pubsubpb.PubsubMessage{{Data: []byte("{}")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case token := <-tokens:
		return token
	case <-time.After(time.Minute):
		t.Fatal("nothing was pushed")
		return ""
	}
}
