// Command image builds the one image of Callout in the cloud, for every platform, as an OCI image layout: the functions' binary, the
// certificate authorities that it trusts, and nothing else. The same source, built by the same Go in any folder, has the same digest.
//
//	go run ./scripts/image                        # writes .image and prints its digest
//	go run ./scripts/image -push HOST/REPO:TAG    # pushes it too, and prints its name by digest
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/google/go-containerregistry/pkg/v1"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	folder := flags.String("o", ".image", "the folder of the layout; one that is there is replaced")
	platforms := flags.String("platforms", "linux/amd64,linux/arm64", "what to build for")
	revision := flags.String("revision", "", "the commit that the labels name; part of the digest")
	push := flags.String("push", "", "HOST/REPO:TAG to push to, with Docker's or Google's application default credentials")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("there are no arguments, only flags: %q", flags.Args())
	}
	built, err := build(ctx, ".", strings.Split(*platforms, ","), labels(*revision))
	if err != nil {
		return err
	}
	if err := built.write(*folder); err != nil {
		return fmt.Errorf("write %s: %w", *folder, err)
	}
	if err := built.report(os.Stderr); err != nil {
		return err
	}
	if *push == "" {
		digest, err := built.index.Digest()
		fmt.Println(digest)
		return err
	}
	name, err := built.push(ctx, *push)
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	fmt.Println(name)
	return nil
}

// build compiles the module in root for every platform and makes one image of it.
func build(ctx context.Context, root string, platforms []string, labels map[string]string) (*images, error) {
	folder, err := os.MkdirTemp("", "callout-image-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	var binaries []binary
	for i, text := range platforms {
		platform, err := v1.ParsePlatform(text)
		if err != nil || platform.OS != "linux" || platform.Architecture == "" {
			return nil, fmt.Errorf("platform %q: want linux/ARCHITECTURE", text)
		}
		b := binary{platform: *platform, path: filepath.Join(folder, fmt.Sprint(i))}
		if err := compile(ctx, root, b); err != nil {
			return nil, err
		}
		binaries = append(binaries, b)
	}
	return assemble(binaries, labels)
}

// report says how large the image is.
func (m *images) report(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "platform\tunpacked\tto pull\t")
	for _, i := range m.each {
		unpacked, packed, err := sizes(i.image)
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%.1f MB\t%.1f MB\t\n", i.platform, float64(unpacked)/1e6, float64(packed)/1e6)
	}
	return table.Flush()
}
