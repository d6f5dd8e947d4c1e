package infra_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"knative.dev/serving/pkg/apis/config"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/functions/all"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/seal"
)

const kustomization = "kustomization.yaml"

// decoder decodes what is applied to a cluster, by the kinds' own types: an unknown field, or one twice, is an error.
func decoder() (runtime.Decoder, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, servingv1.AddToScheme, gatewayv1.Install, gatewayv1beta1.Install,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer(), nil
}

// decode reads the objects of a file. Anchors are resolved first: the decoder's YAML has none across documents either.
func decode(d runtime.Decoder, text []byte) ([]runtime.Object, error) {
	var all []runtime.Object
	documents := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document yaml.Node
		if err := documents.Decode(&document); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		one, err := yaml.Marshal(&document)
		if err != nil {
			return nil, err
		}
		object, _, err := d.Decode(one, nil, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, object)
	}
}

// places are the folders that are applied to a cluster: with the emulator as the ground, and with Google's services.
var places = []string{onEmulator, onGoogle}

const (
	onEmulator = "knative"
	onGoogle   = "knative-google"
)

// manifests are what kustomize makes of a folder, and so what is applied.
func manifests(t *testing.T, place string) []runtime.Object {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), place)
	if err != nil {
		t.Fatal(err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	d, err := decoder()
	if err != nil {
		t.Fatal(err)
	}
	all, err := decode(d, text)
	if err != nil {
		t.Fatalf("%s: %v", place, err)
	}
	return all
}

// TestFilesAreApplied: a file that no kustomization names would be forgotten, and what kustomize does not look at would not be strict.
func TestFilesAreApplied(t *testing.T) {
	d, err := decoder()
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range places {
		var list struct{ Resources []string }
		text, err := os.ReadFile(filepath.Join(place, kustomization))
		if err == nil {
			err = yaml.Unmarshal(text, &list)
		}
		if err != nil {
			t.Fatal(err)
		}
		there, err := filepath.Glob(place + "/*.yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range there {
			name := filepath.Base(path)
			if name == kustomization {
				continue
			}
			if !slices.Contains(list.Resources, name) {
				t.Errorf("%s is not in %s", path, kustomization)
			}
			text, err := os.ReadFile(path)
			if err == nil {
				_, err = decode(d, text)
			}
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// in runs a test for each folder.
func in(t *testing.T, test func(t *testing.T, objects []runtime.Object)) {
	for _, place := range places {
		t.Run(place, func(t *testing.T) { test(t, manifests(t, place)) })
	}
}

// of are the objects of one type.
func of[T runtime.Object](all []runtime.Object) (some []T) {
	for _, o := range all {
		if one, ok := o.(T); ok {
			some = append(some, one)
		}
	}
	return some
}

// validate does what Knative's admission does.
func validate(s *servingv1.Service) error {
	ctx := config.ToContext(context.Background(), &config.Config{
		Defaults: mustDefaults(), Features: mustFeatures(),
	})
	s.SetDefaults(ctx)
	if err := s.Validate(ctx); err != nil {
		return err
	}
	return nil
}

func mustDefaults() *config.Defaults {
	d, err := config.NewDefaultsConfigFromMap(map[string]string{})
	if err != nil {
		panic(err)
	}
	return d
}

func mustFeatures() *config.Features {
	f, err := config.NewFeaturesConfigFromMap(map[string]string{})
	if err != nil {
		panic(err)
	}
	return f
}

func TestKnativeServicesAreValid(t *testing.T) {
	in(t, func(t *testing.T, objects []runtime.Object) {
		services := of[*servingv1.Service](objects)
		for _, s := range services {
			if err := validate(s); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		}
		if n := len(all.Functions()) + 1; len(services) != n {
			t.Errorf("%d services, want %d: one for each function, and two for deliver", len(services), n)
		}
	})
}

func TestManifestsThatAreWrong(t *testing.T) {
	d, err := decoder()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("knative/functions.yaml")
	if err != nil {
		t.Fatal(err)
	}
	first := strings.Split(string(text), "\n---\n")[2]
	for _, tt := range []struct{ name, old, new string }{
		{"all is well", "", ""},
		{"a field that is none", "containerConcurrency", "concurrency"},
		{"a type that does not fit", "timeoutSeconds: 60", "timeoutSeconds: long"},
		{"no image", "image: callout-functions", "image: ''"},
		{"a concurrency that cannot be", "containerConcurrency: 80", "containerConcurrency: -1"},
		{"a timeout beyond Knative's", "timeoutSeconds: 60", "timeoutSeconds: 601"},
		{"two ports", "name: issuer\n", "name: issuer\n          ports: [{containerPort: 8082}]\n"},
		{"a variable that Knative sets", "FUNCTION_TARGET", "PORT"},
		{"fewer instances at most than at least", `min-scale: "0"`, `min-scale: "11"`},
		{"an API that is none", "serving.knative.dev/v1\n", "serving.knative.dev/v3\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(first, tt.old) {
				t.Fatalf("%q is not there to be replaced", tt.old)
			}
			objects, err := decode(d, []byte(strings.Replace(first, tt.old, tt.new, 1)))
			if err == nil {
				err = validate(objects[0].(*servingv1.Service))
			}
			if (err == nil) != (tt.old == "") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// environment is what a container is given; there is one secret.
func environment(t *testing.T, objects []runtime.Object, c corev1.Container) (environ []string) {
	t.Helper()
	for _, from := range c.EnvFrom {
		found := false
		for _, m := range of[*corev1.ConfigMap](objects) {
			if m.Name != from.ConfigMapRef.Name {
				continue
			}
			found = true
			for name, value := range m.Data {
				environ = append(environ, name+"="+value)
			}
		}
		if !found {
			t.Errorf("%s: there is no %s", c.Name, from.ConfigMapRef.Name)
		}
	}
	for _, v := range c.Env {
		if v.ValueFrom != nil {
			v.Value = seal.NewKey("k1")
		}
		environ = append(environ, v.Name+"="+v.Value)
	}
	for _, v := range environ {
		if name, _, _ := strings.Cut(v, "="); !slices.Contains(knownVariables(), name) {
			t.Errorf("%s: %s: no function reads it", c.Name, name)
		}
	}
	return environ
}

// TestFunctionsCanReadTheirEnvironment gives each function what its manifest gives it.
func TestFunctionsCanReadTheirEnvironment(t *testing.T) {
	in(t, func(t *testing.T, objects []runtime.Object) {
		for _, s := range of[*servingv1.Service](objects) {
			c, err := env.Read(environment(t, objects, s.Spec.Template.Spec.Containers[0]))
			if err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
			functions, err := all.Select(c.Function)
			if err != nil || len(functions) != 1 {
				t.Errorf("%s: %v", s.Name, err)
				continue
			}
			if err := c.Require(functions[0].Needs...); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
			if (c.SealKeys != "") != slices.Contains(functions[0].Needs, env.Secrets) {
				t.Errorf("%s: is given secrets that it does not need", s.Name)
			}
			if (len(c.PushAccounts) > 0) != slices.Contains(functions[0].Needs, env.Push) {
				t.Errorf("%s: is told of pushes that it does not get, or not of those that it gets", s.Name)
			}
		}
	})
}

// TestFunctionsReachTheirGround: with the emulator they go there and take its pushes; with Google's services nothing is left of it.
func TestFunctionsReachTheirGround(t *testing.T) {
	for _, s := range of[*servingv1.Service](manifests(t, onEmulator)) {
		c, err := env.Read(environment(t, manifests(t, onEmulator), s.Spec.Template.Spec.Containers[0]))
		if err != nil || c.Project != local.Project || c.FirestoreHost == "" || c.PubSubHost == "" {
			t.Errorf("%s: is not on the emulator: %v", s.Name, err)
		}
		if len(c.PushAccounts) > 0 && (c.PushAudience != local.PushAudience || !slices.Equal(c.PushAccounts, env.Accounts{local.PushAccount})) {
			t.Errorf("%s: the emulator pushes as another one", s.Name)
		}
	}
	google := manifests(t, onGoogle)
	text, err := yaml.Marshal(google)
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{"emulator", "127.0.0.1", "8082", "callout.local"} {
		if strings.Contains(string(text), left) {
			t.Errorf("%q is left of the emulator", left)
		}
	}
}

// TestTicks: where the emulator does not tick, a job does each minute, with what a function is told.
func TestTicks(t *testing.T) {
	if jobs := of[*batchv1.CronJob](manifests(t, onEmulator)); len(jobs) != 0 {
		t.Errorf("%d jobs beside the emulator, which ticks by itself", len(jobs))
	}
	objects := manifests(t, onGoogle)
	jobs := of[*batchv1.CronJob](objects)
	if len(jobs) != 1 {
		t.Fatalf("%d jobs, want 1", len(jobs))
	}
	job := jobs[0].Spec
	container := job.JobTemplate.Spec.Template.Spec.Containers[0]
	if job.Schedule != "* * * * *" || !slices.Equal(container.Args, []string{"tick"}) || container.Image != "callout-functions" {
		t.Errorf("%q runs %s with %q", job.Schedule, container.Image, container.Args)
	}
	c, err := env.Read(environment(t, objects, container))
	if err == nil {
		err = c.Require()
	}
	if err != nil {
		t.Error(err)
	}
}

// TestNamespaces: objects name theirs, because one is in another than the rest.
func TestNamespaces(t *testing.T) {
	in(t, func(t *testing.T, objects []runtime.Object) {
		for _, o := range objects {
			object := o.(metav1.Object)
			want := "callout"
			switch o.(type) {
			case *corev1.Namespace:
				want = ""
			case *gatewayv1beta1.ReferenceGrant:
				want = "kourier-system"
			}
			if object.GetNamespace() != want {
				t.Errorf("%s is in namespace %q, want %q", object.GetName(), object.GetNamespace(), want)
			}
		}
	})
}

func TestHTTPRoutes(t *testing.T) {
	objects := manifests(t, onEmulator) // those of the other place are the same
	gateways := map[string][]route{}
	hosts := map[string]string{} // of a Knative Service: the function it runs
	for _, s := range of[*servingv1.Service](objects) {
		hosts[s.Name+".callout.svc.cluster.local"] = s.Spec.Template.Spec.Containers[0].Env[0].Value
	}
	for _, r := range of[*gatewayv1.HTTPRoute](objects) {
		for _, rule := range r.Spec.Rules {
			if len(rule.Matches) > 64 {
				t.Errorf("%s: a rule has 64 matches at most", r.Name)
			}
			function := hosts[string(*rule.Filters[0].URLRewrite.Hostname)]
			for _, m := range rule.Matches {
				gateway := string(r.Spec.ParentRefs[0].Name)
				gateways[gateway] = append(gateways[gateway], route{*m.Path.Value, *m.Path.Type == gatewayv1.PathMatchPathPrefix, function})
			}
		}
	}
	checkRoutes(t, gateways["callout"], func(f host.Function) bool { return f.Trigger == host.HTTP })
	checkRoutes(t, gateways["callout-push"], func(f host.Function) bool { return f.Trigger == host.Event })
}

// TestContainersAreConfined: as the namespace's level of pod security wants it, their root file systems cannot be written, and each is somebody
// of its own.
func TestContainersAreConfined(t *testing.T) {
	in(t, func(t *testing.T, objects []runtime.Object) {
		accounts := map[string]bool{}
		for _, a := range of[*corev1.ServiceAccount](objects) {
			accounts[a.Name] = true
		}
		n := 0
		for _, s := range of[*servingv1.Service](objects) {
			checkPod(t, s.Name, &s.Spec.Template.Spec.PodSpec)
			checkProbes(t, s.Name, &s.Spec.Template.Spec.PodSpec)
			if name := s.Spec.Template.Spec.ServiceAccountName; name != s.Name || !accounts[name] {
				t.Errorf("%s runs as %q", s.Name, name)
			}
			n++
		}
		for _, s := range of[*batchv1.CronJob](objects) {
			checkPod(t, s.Name, &s.Spec.JobTemplate.Spec.Template.Spec)
			n++
		}
		for _, s := range of[*appsv1.StatefulSet](objects) {
			checkPod(t, s.Name, &s.Spec.Template.Spec)
			checkProbes(t, s.Name, &s.Spec.Template.Spec)
			if *s.Spec.Replicas != 1 {
				t.Errorf("%s: %d replicas: the data folder has one owner", s.Name, *s.Spec.Replicas)
			}
			n++
		}
		if n < 12 {
			t.Errorf("%d pods", n)
		}
	})
}

func checkPod(t *testing.T, name string, pod *corev1.PodSpec) {
	t.Helper()
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Errorf("%s: is given a token of the cluster", name)
	}
	for _, c := range pod.Containers {
		s := c.SecurityContext
		nonRoot := s.RunAsNonRoot != nil && *s.RunAsNonRoot || pod.SecurityContext != nil && *pod.SecurityContext.RunAsNonRoot
		if !nonRoot || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation {
			t.Errorf("%s: %s is not confined", name, c.Name)
		}
		if diff := cmp.Diff([]corev1.Capability{"ALL"}, s.Capabilities.Drop); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, c.Name, diff)
		}
	}
}

func checkProbes(t *testing.T, name string, pod *corev1.PodSpec) {
	t.Helper()
	for _, c := range pod.Containers {
		if c.Name != "issuer" && c.ReadinessProbe.HTTPGet.Path != "/health" {
			t.Errorf("%s: %s is probed elsewhere", name, c.Name)
		}
	}
}
