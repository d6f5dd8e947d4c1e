package main

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"runtime/debug"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/package-url/packageurl-go"

	"github.com/callout-dev/callout/shared/env"
)

// sbomType is the media type of CycloneDX in JSON, by which tools find it among what refers to an image.
const sbomType types.MediaType = "application/vnd.cyclonedx+json"

// describe makes the list of all that is in an image, as an artifact that refers to it.
func describe(b binary, image v1.Image) (v1.Image, error) {
	text, err := sbom(b.path)
	if err != nil {
		return nil, fmt.Errorf("bill of materials: %w", err)
	}
	subject, err := partial.Descriptor(image)
	if err != nil {
		return nil, err
	}
	subject = &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}
	artifact := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), sbomType)
	artifact, err = mutate.Append(artifact, mutate.Addendum{Layer: static.NewLayer(text, sbomType)})
	if err != nil {
		return nil, err
	}
	return mutate.Subject(artifact, *subject).(v1.Image), nil
}

// sbom lists the modules that the linker put into a binary, Go itself, and the certificate authorities beside it. It has neither a time nor
// a number of its own, so that it is as reproducible as the image.
func sbom(path string) ([]byte, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, err
	}
	beside, err := linked(rootsModule)
	if err != nil {
		return nil, err
	}
	bom := cyclonedx.NewBOM()
	main := component(info.Main.Path, env.Version)
	main.Type = cyclonedx.ComponentTypeApplication
	bom.Metadata = &cyclonedx.Metadata{Component: &main}
	components := []cyclonedx.Component{component("stdlib", info.GoVersion), component(beside.Path, beside.Version)}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		components = append(components, component(m.Path, m.Version))
	}
	bom.Components = &components
	var text bytes.Buffer
	if err := cyclonedx.NewBOMEncoder(&text, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

func component(module, version string) cyclonedx.Component {
	url := packageurl.NewPackageURL(packageurl.TypeGolang, "", module, version, nil, "").ToString()
	return cyclonedx.Component{BOMRef: url, Type: cyclonedx.ComponentTypeLibrary, Name: module, Version: version, PackageURL: url}
}

// linked is a module of this program.
func linked(path string) (*debug.Module, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil, errors.New("this program was built without modules")
	}
	for _, m := range info.Deps {
		if m.Path == path {
			return m, nil
		}
	}
	return nil, fmt.Errorf("this program has no module %s", path)
}
