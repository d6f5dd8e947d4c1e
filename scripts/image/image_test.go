package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// maxUnpacked is how large the image may be on disk, in bytes.
const maxUnpacked = 30e6

// compiled is the functions' binary for this machine's architecture.
func compiled(t *testing.T, root string) binary {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: builds the functions")
	}
	b := binary{platform: v1.Platform{OS: "linux", Architecture: runtime.GOARCH}, path: filepath.Join(t.TempDir(), "binary")}
	if err := compile(t.Context(), root, b); err != nil {
		t.Fatal(err)
	}
	return b
}

// twoPlatforms is an image of one binary that passes for two.
func twoPlatforms(t *testing.T) (binary, *images) {
	t.Helper()
	b := compiled(t, "../..")
	other := binary{platform: v1.Platform{OS: "linux", Architecture: "riscv64"}, path: b.path}
	made, err := assemble([]binary{b, other}, labels("abc"))
	if err != nil {
		t.Fatal(err)
	}
	return b, made
}

func digests(t *testing.T, made *images) []string {
	t.Helper()
	index, err := made.index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	all := []string{index.String()}
	for _, i := range made.each {
		sbom, err := i.sbom.Digest()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, sbom.String())
	}
	return all
}

// TestTwoFoldersGiveOneDigest builds once more where there are only the image's parts of the source.
func TestTwoFoldersGiveOneDigest(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "another folder")
	for _, part := range []string{"functions", "shared"} {
		if err := os.CopyFS(filepath.Join(elsewhere, part), os.DirFS("../../"+part)); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile("../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(elsewhere, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got [][]string
	for _, root := range []string{"../..", elsewhere} {
		made, err := assemble([]binary{compiled(t, root)}, labels(""))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, digests(t, made))
	}
	if diff := cmp.Diff(got[0], got[1]); diff != "" {
		t.Errorf("(-here +elsewhere):\n%s", diff)
	}
}

func TestWhatTheImageHolds(t *testing.T) {
	b, made := twoPlatforms(t)
	program, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range made.each {
		files := map[string][]byte{}
		content := mutate.Extract(i.image)
		defer content.Close()
		for r := tar.NewReader(content); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if h.Uid != 0 || h.Gid != 0 || h.Mode&0o222 != 0 || h.Typeflag != tar.TypeReg {
				t.Errorf("%s: type %c, owner %d:%d, mode %o", h.Name, h.Typeflag, h.Uid, h.Gid, h.Mode)
			}
			if files[h.Name], err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
		authorities := files["etc/ssl/certs/ca-certificates.crt"]
		if len(files) != 2 || !bytes.Equal(files["functions"], program) {
			t.Errorf("%s: %d files, or another binary", i.platform, len(files))
		}
		if pool := x509.NewCertPool(); !pool.AppendCertsFromPEM(authorities) || bytes.Count(authorities, []byte("BEGIN")) < 100 {
			t.Errorf("%s: certificate authorities:\n%.200s", i.platform, authorities)
		}
		unpacked, packed, err := sizes(i.image)
		if err != nil || unpacked > maxUnpacked || packed > unpacked/2 {
			t.Errorf("%s: %d bytes, %d packed, %v", i.platform, unpacked, packed, err)
		}
		config, err := i.image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		want := v1.Config{
			User: "65532:65532", Entrypoint: []string{"/functions"}, WorkingDir: "/", Labels: labels("abc"),
			ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		}
		if diff := cmp.Diff(want, config.Config); diff != "" || config.OS != "linux" || config.Architecture != i.platform.Architecture {
			t.Errorf("%s: %s/%s (-want +got):\n%s", i.platform, config.OS, config.Architecture, diff)
		}
	}
}

func TestTheBinaryIsStatic(t *testing.T) {
	file, err := elf.Open(compiled(t, "../..").path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it wants a loader")
		}
	}
	if libraries, _ := file.ImportedLibraries(); len(libraries) > 0 {
		t.Errorf("it wants %q", libraries)
	}
}

func TestTheBillOfMaterialsNamesEveryModule(t *testing.T) {
	b, made := twoPlatforms(t)
	info, err := buildinfo.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"stdlib@" + info.GoVersion}
	for _, m := range info.Deps {
		want = append(want, m.Path+"@"+m.Version)
	}
	for _, i := range made.each {
		bom := readBOM(t, i.sbom)
		var got []string
		for _, c := range *bom.Components {
			if !strings.HasPrefix(c.PackageURL, "pkg:golang/") || strings.Contains(c.PackageURL, "+") {
				t.Errorf("%s: package URL %s", c.Name, c.PackageURL)
			}
			if c.Name == rootsModule && c.Version != "" {
				continue // beside the binary
			}
			got = append(got, c.Name+"@"+c.Version)
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" || len(*bom.Components) != len(want)+1 {
			t.Errorf("%s: (-linked +listed):\n%s", i.platform, diff)
		}
		manifest, err := i.sbom.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		if digest, err := i.image.Digest(); err != nil || manifest.Subject == nil || manifest.Subject.Digest != digest {
			t.Errorf("%s: it refers to %v, not to %s (%v)", i.platform, manifest.Subject, digest, err)
		}
	}
}

func readBOM(t *testing.T, artifact v1.Image) cyclonedx.BOM {
	t.Helper()
	layers, err := artifact.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatal(layers, err)
	}
	text, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(text, cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	return bom
}

func TestLayout(t *testing.T) {
	_, made := twoPlatforms(t)
	folder := filepath.Join(t.TempDir(), "image")
	for range 2 { // the second time over the first
		if err := made.write(folder); err != nil {
			t.Fatal(err)
		}
	}
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range manifest.Manifests {
		got = append(got, m.Digest.String())
	}
	if diff := cmp.Diff(digests(t, made), got); diff != "" {
		t.Errorf("(-made +written):\n%s", diff)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
}

func TestNothingButALayoutIsReplaced(t *testing.T) {
	folder := t.TempDir()
	precious := filepath.Join(folder, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := new(images).write(folder); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestPush(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	_, made := twoPlatforms(t)
	for _, referrers := range []bool{true, false} {
		t.Run(fmt.Sprintf("registry knows referrers: %t", referrers), func(t *testing.T) {
			server := httptest.NewServer(registry.New(registry.WithReferrersSupport(referrers), registry.Logger(log.New(io.Discard, "", 0))))
			defer server.Close()
			to := strings.TrimPrefix(server.URL, "http://") + "/some/callout"
			pushed, err := made.push(t.Context(), to+":v1")
			if want := to + "@" + digests(t, made)[0]; err != nil || pushed != want {
				t.Fatalf("got %s %v, want %s", pushed, err, want)
			}
			reference, err := name.ParseReference(pushed)
			if err != nil {
				t.Fatal(err)
			}
			index, err := remote.Index(reference)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Index(index); err != nil {
				t.Error(err)
			}
			for n, i := range made.each {
				digest, err := i.image.Digest()
				if err != nil {
					t.Fatal(err)
				}
				found, err := remote.Referrers(reference.Context().Digest(digest.String()))
				if err != nil {
					t.Fatal(err)
				}
				manifest, err := found.IndexManifest()
				if err != nil || len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest.String() != digests(t, made)[n+1] ||
					manifest.Manifests[0].ArtifactType != string(sbomType) {
					t.Errorf("%s: referrers %+v %v", i.platform, manifest, err)
				}
			}
		})
	}
	for _, vague := range []string{"callout", "callout:v1", "registry.example/callout"} {
		if _, err := made.push(t.Context(), vague); err == nil {
			t.Errorf("%s: pushed somewhere", vague)
		}
	}
}

func TestPlatformsThatAreNone(t *testing.T) {
	for _, platform := range []string{"", "linux", "windows/amd64", "linux/amd64/v2/x", "linux/nothing"} {
		if _, err := build(t.Context(), "../..", []string{platform}, nil); err == nil || !strings.Contains(err.Error(), platform) {
			t.Errorf("%q: %v", platform, err)
		}
	}
}
