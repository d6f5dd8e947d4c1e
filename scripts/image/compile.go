package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/google/go-containerregistry/pkg/v1"
)

// binary is the compiled functions for one platform.
type binary struct {
	platform v1.Platform
	path     string
}

// compile builds ./functions of the module in root. Nothing of the machine gets in: no paths, no state of the repository, no C compiler and
// none of the environment's choices.
func compile(ctx context.Context, root string, b binary) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", b.path, "./functions")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+b.platform.OS, "GOARCH="+b.platform.Architecture, "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build ./functions, from the project's root, for %s: %w\n%s", b.platform, err, out)
	}
	return nil
}
