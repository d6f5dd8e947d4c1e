package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// emulator is a process that this one started.
type emulator struct {
	data string
	cmd  *exec.Cmd
}

// startEmulator builds the emulator and runs it on a temporary folder and free ports.
func startEmulator(ctx context.Context) (*emulator, error) {
	folder, err := os.MkdirTemp("", "callout-bench-")
	if err != nil {
		return nil, err
	}
	e := &emulator{data: filepath.Join(folder, "data")}
	binary := filepath.Join(folder, "emulator")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./emulator")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, errors.Join(fmt.Errorf("build ./emulator, from the project's root: %w", err), os.RemoveAll(folder))
	}
	const free = "127.0.0.1:0"
	e.cmd = exec.Command(binary, "-data", e.data, "-listen", free, "-firestore", free, "-pubsub", free, "-issuer", free)
	e.cmd.Env = append(os.Environ(), "CALLOUT_LOG_LEVEL=ERROR")
	e.cmd.Stderr = os.Stderr
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what interrupts this program is not to end the emulator before what was made is removed
	if err := e.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	if err := e.ready(ctx); err != nil {
		e.stop()
		return nil, err
	}
	return e, nil
}

// ready waits for local.json, which is written when all of it is.
func (e *emulator) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, err := os.Stat(filepath.Join(e.data, "local.json")); err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.New("the emulator did not become ready in 30 s")
		}
	}
}

// stop ends the process and removes its data. It says how much memory it had at most, in MiB.
func (e *emulator) stop() int {
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	_ = e.cmd.Wait()
	_ = os.RemoveAll(filepath.Dir(e.data))
	if usage, ok := e.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		return int(usage.Maxrss >> 10) // KiB, on Linux
	}
	return 0
}
