package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/callout-dev/callout/shared/env"
)

const (
	entrypoint = "/functions"
	// user is nobody in particular: it owns no file, and the image has no list of users.
	user = "65532:65532"
)

// labels describe the image, in its configuration and on its index.
func labels(revision string) map[string]string {
	const prefix = "org.opencontainers.image."
	l := map[string]string{
		prefix + "title":       "Callout",
		prefix + "description": "The functions of Callout: all of them, or the one that FUNCTION_TARGET names",
		prefix + "version":     env.Version,
		prefix + "licenses":    "Apache-2.0",
		prefix + "source":      "https://github.com/callout-dev/callout",
	}
	if revision != "" {
		l[prefix+"revision"] = revision
	}
	return l
}

// images is the image for all platforms, and what is said about it.
type images struct {
	index v1.ImageIndex
	each  []platformImage
}

type platformImage struct {
	platform v1.Platform
	image    v1.Image
	// sbom is an artifact that refers to the image.
	sbom v1.Image
}

// assemble makes the image out of binaries. All times are those of the epoch.
func assemble(binaries []binary, labels map[string]string) (*images, error) {
	trusted, err := layer("etc/ssl/certs/ca-certificates.crt", 0o444, roots())
	if err != nil {
		return nil, fmt.Errorf("layer of certificates: %w", err)
	}
	made := &images{index: empty.Index}
	for _, binary := range binaries {
		i, err := assembleOne(binary, trusted, labels)
		if err != nil {
			return nil, fmt.Errorf("image for %s: %w", binary.platform, err)
		}
		made.each = append(made.each, i)
		made.index = mutate.AppendManifests(made.index, mutate.IndexAddendum{Add: i.image, Descriptor: v1.Descriptor{Platform: &i.platform}})
	}
	made.index = mutate.Annotations(made.index, labels).(v1.ImageIndex)
	return made, nil
}

func assembleOne(b binary, trusted v1.Layer, labels map[string]string) (platformImage, error) {
	made := platformImage{platform: b.platform}
	program, err := os.ReadFile(b.path)
	if err != nil {
		return made, err
	}
	functions, err := layer(entrypoint[1:], 0o555, program)
	if err != nil {
		return made, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	made.image, err = mutate.Append(base,
		mutate.Addendum{Layer: trusted, History: v1.History{CreatedBy: "certificate authorities", Created: epoch()}},
		mutate.Addendum{Layer: functions, History: v1.History{CreatedBy: "functions", Created: epoch()}})
	if err != nil {
		return made, err
	}
	config, err := made.image.ConfigFile()
	if err != nil {
		return made, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant, config.Created = b.platform.OS, b.platform.Architecture, b.platform.Variant, epoch()
	config.Config = v1.Config{
		User: user, Entrypoint: []string{entrypoint}, WorkingDir: "/", Labels: labels, ExposedPorts: map[string]struct{}{"8080/tcp": {}},
	}
	if made.image, err = mutate.ConfigFile(made.image, config); err != nil {
		return made, err
	}
	made.sbom, err = describe(b, made.image)
	return made, err
}

func epoch() v1.Time { return v1.Time{Time: time.Unix(0, 0).UTC()} }

// layer is one file that root owns.
func layer(name string, mode int64, content []byte) (v1.Layer, error) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content)), ModTime: epoch().Time}); err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

// sizes are the bytes of an image's layers, on disk and when it is pulled.
func sizes(image v1.Image) (unpacked, packed int64, err error) {
	layers, err := image.Layers()
	if err != nil {
		return 0, 0, err
	}
	for _, l := range layers {
		size, err := l.Size()
		if err != nil {
			return 0, 0, err
		}
		packed += size
		content, err := l.Uncompressed()
		if err != nil {
			return 0, 0, err
		}
		n, err := io.Copy(io.Discard, content)
		_ = content.Close()
		if err != nil {
			return 0, 0, err
		}
		unpacked += n
	}
	return unpacked, packed, nil
}
