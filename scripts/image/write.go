package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/google"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// write makes an OCI image layout in folder: the image, and beside it what refers to it. A layout that is there is replaced, and nothing
// else is.
func (m *images) write(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if _, err := os.Stat(filepath.Join(folder, "oci-layout")); err != nil && len(entries) > 0 {
		return fmt.Errorf("there is something that is no image layout: %w", fs.ErrExist)
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	l, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	if err := l.AppendIndex(m.index); err != nil {
		return err
	}
	for _, i := range m.each {
		if err := l.AppendImage(i.sbom); err != nil {
			return err
		}
	}
	return nil
}

// push pushes the image and what refers to it, and gives the image's name by digest.
func (m *images) push(ctx context.Context, to string) (string, error) {
	tag, err := name.NewTag(to, name.StrictValidation)
	if err != nil {
		return "", err
	}
	credentials := authn.NewMultiKeychain(authn.DefaultKeychain, google.Keychain)
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(credentials)}
	if err := remote.WriteIndex(tag, m.index, options...); err != nil {
		return "", err
	}
	for _, i := range m.each {
		digest, err := i.sbom.Digest()
		if err != nil {
			return "", err
		}
		if err := remote.Write(tag.Digest(digest.String()), i.sbom, options...); err != nil {
			return "", fmt.Errorf("bill of materials for %s: %w", i.platform, err)
		}
	}
	digest, err := m.index.Digest()
	if err != nil {
		return "", err
	}
	return tag.Digest(digest.String()).String(), nil
}
