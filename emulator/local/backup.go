package local

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callout-dev/callout/emulator/storage"
	"github.com/callout-dev/callout/shared/backup"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/logging"
)

const (
	backupPath = "/emulator/v1/backup"
	// withoutSealKey is the one query that the path knows.
	withoutSealKey = "sealKey=false"
	// backupFolder holds the copy that is being sent; what a crash leaves of it, the next start removes.
	backupFolder = "backup.tmp"
	// stallTime is how long a client may take no byte, and backupTime how long it may take in all: as long as the copy is there, so is on the
	// disk what the store has replaced meanwhile.
	stallTime  = time.Minute
	backupTime = 6 * time.Hour
)

// BackupAccess is where a backup is to be had, for whoever may read local.json.
type BackupAccess struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// backups makes backups of a running installation and sends them (callout.md section 1). Its token is made at each start and is no token of the
// API: in a backup are the issuer's private keys and the clients' secrets, and as a rule the seal key.
type backups struct {
	config   Config
	ground   *ground
	token    string
	about    backup.Manifest
	stopping <-chan struct{}
	one      sync.Mutex // held while a backup is made
}

func newBackups(c Config, g *ground, stopping <-chan struct{}) *backups {
	var token [32]byte
	_, _ = rand.Read(token[:]) // never fails: see crypto/rand
	about := backup.Manifest{Callout: env.Version, API: g.apiURL, Issuer: g.issuerURL, SealKey: backup.SealKey{IDs: g.sealKeyIDs(c)}}
	return &backups{config: c, ground: g, token: base64.RawURLEncoding.EncodeToString(token[:]), about: about, stopping: stopping}
}

// function serves it on the API's port, the one that is always there. It is Callout's own on one machine, and no function of the cloud.
func (b *backups) function() host.Function {
	return host.Function{
		Name: "backup", Trigger: host.HTTP, Paths: []string{backupPath}, Pages: true, // no CORS
		HTTP: func(*env.Clients) (http.Handler, error) { return b, nil },
	}
}

// ServeHTTP sends one backup. Half an answer is no whole one: the connection breaks, and the archive lacks its end.
func (b *backups) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if status, code, message := b.refusal(r); status != 0 {
		host.Refuse(w, status, code, message)
		return
	}
	if !b.one.TryLock() {
		host.Refuse(w, http.StatusConflict, codes.Aborted, "another backup is being made; try again when it is done")
		return
	}
	defer b.one.Unlock()
	log := b.config.Log.With("withoutSealKey", r.URL.RawQuery == withoutSealKey)
	dir := filepath.Join(b.config.Data, backupFolder)
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			log.WarnContext(r.Context(), "what a backup left stays until the next start", logging.Err, err)
		}
	}()
	about := b.about
	about.Created = time.Now().UTC()
	if err := b.copy(dir, r.URL.RawQuery != withoutSealKey); err != nil {
		log.WarnContext(r.Context(), "backup failed", logging.Err, err)
		message := "the backup could not be made: the log of the server says why"
		if errors.Is(err, storage.ErrFull) {
			message = "the disk is full: make room, and try again"
		}
		host.Refuse(w, http.StatusServiceUnavailable, codes.Unavailable, message)
		return
	}
	w.Header().Set("Content-Type", "application/zstd")
	if err := b.send(w, r, about, os.DirFS(dir)); err != nil {
		log.WarnContext(r.Context(), "backup broken off", logging.Err, err)
		panic(http.ErrAbortHandler)
	}
	log.InfoContext(r.Context(), "backup made", slog.Duration(logging.Took, time.Since(about.Created)))
}

// refusal says why a request gets no backup; the status is 0 where it does.
func (b *backups) refusal(r *http.Request) (status int, code codes.Code, message string) {
	token, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
		return http.StatusForbidden, codes.PermissionDenied, "requests of browsers are not served"
	case !isBearer || subtle.ConstantTimeCompare([]byte(token), []byte(b.token)) != 1:
		return http.StatusUnauthorized, codes.Unauthenticated, "the token is not the one that local.json has under backup"
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed, codes.Unimplemented, "Method Not Allowed"
	case r.URL.RawQuery != "" && r.URL.RawQuery != withoutSealKey:
		return http.StatusBadRequest, codes.InvalidArgument, "the query may be " + withoutSealKey + " and nothing else"
	case b.config.Data == "":
		return http.StatusConflict, codes.FailedPrecondition, "this installation has no data folder (-data=): it keeps everything in memory, and there is nothing to back up"
	}
	return 0, codes.OK, ""
}

// copy makes a data folder as this one is now. What belongs together across its files:
//
//   - The store is copied first, the issuer's file after it. The store knows tokens of the issuer (those of the console's sessions), and the
//     issuer knows nothing of the store: a key that signed any token in the copy was published a day before, and is in a file that is read
//     later. What was revoked meanwhile is in it too, at the price of a session that was still there in the store.
//   - The seal key does not change while the process lives; the copy has the one that the process seals with, whatever has become of the file.
//   - local.json and the service account's key file are made from these at each start, and are not in it.
func (b *backups) copy(dir string, withKey bool) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := b.ground.store.Checkpoint(dir); err != nil {
		return err
	}
	issuer, err := os.ReadFile(filepath.Join(b.config.Data, issuerFile)) // replaced as a whole whenever it changes
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, issuerFile), issuer); err != nil {
		return err
	}
	if b.ground.sealKey == "" || !withKey {
		return nil
	}
	return writeFile(filepath.Join(dir, sealKeyFile), []byte(b.ground.sealKey+"\n"))
}

// send writes the archive, until the client goes, stalls or takes too long, or the installation stops.
func (b *backups) send(w http.ResponseWriter, r *http.Request, about backup.Manifest, folder fs.FS) error {
	ctx, cancel := context.WithTimeoutCause(r.Context(), backupTime, fmt.Errorf("it took longer than %v", backupTime))
	defer cancel()
	out := &patient{w: w, controller: http.NewResponseController(w), ctx: ctx, stopping: b.stopping}
	done := make(chan struct{})
	var waker sync.WaitGroup
	defer waker.Wait()
	defer close(done)
	waker.Go(func() {
		select {
		case <-b.stopping: // the write that waits for the client ends
			_ = out.controller.SetWriteDeadline(time.Unix(1, 0))
		case <-done:
		}
	})
	if err := backup.Write(out, about, folder); err != nil {
		return err
	}
	return out.controller.SetWriteDeadline(time.Time{})
}

// patient waits for a client, but not for ever.
type patient struct {
	w          http.ResponseWriter
	controller *http.ResponseController
	ctx        context.Context
	stopping   <-chan struct{}
}

var errStopping = errors.New("the installation stops")

// Write implements io.Writer.
func (p *patient) Write(b []byte) (int, error) {
	select {
	case <-p.stopping:
		return 0, errStopping
	case <-p.ctx.Done():
		return 0, context.Cause(p.ctx)
	default:
	}
	if err := p.controller.SetWriteDeadline(time.Now().Add(stallTime)); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}

// sealKeyIDs are the names of the keys that seal and open this installation's secrets.
func (g *ground) sealKeyIDs(c Config) (ids []string) {
	keys := g.sealKey
	for _, v := range c.Environ {
		if value, ok := strings.CutPrefix(v, sealVariable+"="); ok && keys == "" {
			keys = value
		}
	}
	for entry := range strings.SplitSeq(keys, ",") {
		id, _, _ := strings.Cut(strings.TrimSpace(entry), ":")
		ids = append(ids, id)
	}
	return ids
}
