package firestore_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	server "github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/emulator/storage"
)

func TestExpiredDocumentsGo(t *testing.T) {
	if !ours {
		t.Skip("turns time forward")
	}
	synctest.Test(t, func(t *testing.T) {
		x := &server.Indexes{Overrides: []server.Override{{Collection: "c", Path: "expireAt", TTL: true}}}
		d := startWith(t, server.Options{Indexes: x, History: time.Minute})
		now := time.Now()
		set(t, d.root.Doc("soon"), fields{"expireAt": now.Add(time.Minute)})
		set(t, d.root.Doc("later"), fields{"expireAt": now.Add(time.Hour)})
		set(t, d.root.Doc("moved"), fields{"expireAt": now.Add(time.Minute)})
		set(t, d.root.Doc("moved"), fields{"expireAt": now.Add(time.Hour)})
		set(t, d.root.Doc("never"), fields{"expireAt": "a text"})
		set(t, d.root.Doc("soon").Collection("other").Doc("x"), fields{"expireAt": now.Add(time.Minute)})
		for i := range 450 { // more than one batch
			set(t, d.root.Doc("many"+strings.Repeat("x", i)), fields{"expireAt": now.Add(time.Minute)})
		}
		time.Sleep(2 * time.Minute) // virtual
		got, err := ids(t, d.root.Query)
		if want := "later moved never"; got != want || err != nil {
			t.Errorf("after the time: got %q, %v, want %q", got, err, want)
		}
		if get(t, d.root.Doc("soon").Collection("other").Doc("x")) == nil {
			t.Error("a document of another collection has gone")
		}
	})
}

// disk is one in memory that can be full.
type disk struct {
	vfs.FS
	full atomic.Bool
}

func newDisk() *disk {
	d := new(disk)
	d.FS = errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if d.full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return syscall.ENOSPC
		}
		return nil
	}))
	return d
}

func startOn(t *testing.T, fs vfs.FS) *database {
	t.Helper()
	store, err := storage.Open(storage.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return startWith(t, server.Options{Store: store})
}

// commitOnce commits without the client's retries.
func (d *database) commitOnce(t *testing.T, tx []byte, writes ...*pb.Write) error {
	t.Helper()
	_, err := d.raw.Commit(t.Context(), &pb.CommitRequest{Database: d.name, Transaction: tx, Writes: writes}, gax.WithRetry(func() gax.Retryer { return nil }))
	return err
}

func TestFullDisk(t *testing.T) {
	if !ours {
		t.Skip("fills the disk")
	}
	synctest.Test(t, func(t *testing.T) {
		fs := newDisk()
		d := startOn(t, fs)
		set(t, d.root.Doc("before"), fields{"n": 1})
		fs.full.Store(true)
		for range 3 { // again, when it may look as if it were there
			wantCode(t, "a commit on a full disk", d.commitOnce(t, nil, touch(d.root.Doc("lost"), 1)), codes.ResourceExhausted)
		}
		if get(t, d.root.Doc("before")) == nil {
			t.Error("reads do not go on")
		}
		fs.full.Store(false)
		time.Sleep(3 * time.Second) // virtual
		if err := d.commitOnce(t, nil, touch(d.root.Doc("after"), 1)); err != nil {
			t.Errorf("with space again: %v", err)
		}
		if get(t, d.root.Doc("before")) == nil || get(t, d.root.Doc("after")) == nil || get(t, d.root.Doc("lost")) != nil {
			t.Error("what is there is not what was acknowledged")
		}
	})
}

// A transaction whose commit a full disk refused is tried again as it is, and still conflicts with what others wrote.
func TestTransactionOutlivesAFullDisk(t *testing.T) {
	if !ours {
		t.Skip("fills the disk")
	}
	tests := []struct {
		name      string
		first     bool // its commit is what fills the disk, so that nobody knows whether it will be there: it must begin anew
		meanwhile bool // another writes what the transaction has read, once there is space again
		want      codes.Code
		n         int64
	}{
		{"refused at once", false, false, codes.OK, 11},
		{"another was faster", false, true, codes.Aborted, 20},
		{"failed on its way to the disk", true, false, codes.Aborted, 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fs := newDisk()
				d := startOn(t, fs)
				ref := d.root.Doc("x")
				set(t, ref, fields{"n": 10})
				tx := d.begin(t, nil)
				if doc, err := d.getIn(t, tx, ref); doc == nil || err != nil {
					t.Fatal(doc, err)
				}
				fs.full.Store(true)
				if !tt.first {
					wantCode(t, "another commit", d.commitOnce(t, nil, touch(d.root.Doc("lost"), 1)), codes.ResourceExhausted)
				}
				for range 3 {
					wantCode(t, "the commit", d.commitOnce(t, tx, touch(ref, 11)), codes.ResourceExhausted)
				}
				fs.full.Store(false)
				time.Sleep(3 * time.Second) // virtual
				if tt.meanwhile {
					if err := d.commitOnce(t, nil, touch(ref, 20)); err != nil {
						t.Fatal(err)
					}
				}
				wantCode(t, "the commit, with space again", d.commitOnce(t, tx, touch(ref, 11)), tt.want)
				if got := get(t, ref)["n"]; got != tt.n {
					t.Errorf("n is %v, want %d", got, tt.n)
				}
				wantCode(t, "one more commit", d.commitOnce(t, tx, touch(ref, 12)), codes.InvalidArgument)
			})
		})
	}
}

func TestWeb(t *testing.T) {
	if !ours {
		t.Skip("clears the database")
	}
	store, err := storage.Open(storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s, err := server.New(server.Options{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	web := httptest.NewServer(s.Handler())
	t.Cleanup(web.Close)
	commit := func(db, path string) {
		_, err := s.Commit(t.Context(), &pb.CommitRequest{Database: db, Writes: []*pb.Write{{Operation: &pb.Write_Update{Update: &pb.Document{Name: db + "/documents/" + path}}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	has := func(db, path string) bool {
		_, err := s.GetDocument(t.Context(), &pb.GetDocumentRequest{Name: db + "/documents/" + path})
		return err == nil
	}
	const mine, other = "projects/p/databases/(default)", "projects/q/databases/(default)"
	commit(mine, "c/x")
	commit(mine, "c/x/d/y")
	commit(other, "c/x")
	tests := []struct {
		name, method, path string
		header             string // "NAME: VALUE"
		want               int
		text               string // somewhere in the answer
	}{
		{"from a web page", "DELETE", "/emulator/v1/" + mine + "/documents", "Origin: http://evil.example", http.StatusForbidden, ""},
		{"from a page without an origin", "DELETE", "/emulator/v1/" + mine + "/documents", "Origin: null", http.StatusForbidden, ""},
		{"from an image of a page", "GET", "/metrics", "Sec-Fetch-Site: cross-site", http.StatusForbidden, ""},
		{"by a name that was made to lead here", "GET", "/metrics", "Host: evil.example:8081", http.StatusForbidden, ""},
		{"another method", "GET", "/emulator/v1/" + mine + "/documents", "", http.StatusMethodNotAllowed, ""},
		{"another path", "DELETE", "/emulator/v1/" + mine + "/docs", "", http.StatusNotFound, ""},
		{"a malformed name", "DELETE", "/emulator/v1/projects/p/databases/a%2Fb/documents", "", http.StatusBadRequest, ""},
		{"alive", "GET", "/", "Host: localhost:8081", http.StatusOK, "Ok\n"},
		{"metrics", "GET", "/metrics", "", http.StatusOK, "\nstorage_writable 1\n"},
		{"metrics of documents", "GET", "/metrics", "Host: [::1]", http.StatusOK, "\nfirestore_transactions 0\n"},
		{"clear", "DELETE", "/emulator/v1/" + mine + "/documents", "", http.StatusOK, "{}"},
		{"clear, escaped", "DELETE", "/emulator/v1/projects/p/databases/" + url.PathEscape("(default)") + "/documents", "", http.StatusOK, "{}"},
	}
	for _, tt := range tests {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, web.URL+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if name, v, _ := strings.Cut(tt.header, ": "); name == "Host" {
			r.Host = v
		} else if name != "" {
			r.Header.Set(name, v)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != tt.want || !strings.Contains(string(body), tt.text) {
			t.Errorf("%s: got %d, %.300s, want %d", tt.name, res.StatusCode, body, tt.want)
		}
		if cleared := strings.HasPrefix(tt.name, "clear"); has(mine, "c/x") == cleared {
			t.Errorf("%s: cleared is %t", tt.name, !cleared)
		}
	}
	if has(mine, "c/x") || has(mine, "c/x/d/y") || !has(other, "c/x") {
		t.Error("not what was to be cleared is gone")
	}
}

// capability is a feature that a server may lack.
type capability string

// lacks are the features that ours refuses by name; a server that FIRESTORE_EMULATOR_HOST names is asked to have them.
var lacks = map[capability]bool{"pipelines": true, "explain_options": true, "BSON": true}

func TestCapabilities(t *testing.T) {
	d := start(t)
	ctx := t.Context()
	tests := map[capability]func() error{
		"pipelines": func() error {
			stream, err := d.raw.ExecutePipeline(ctx, &pb.ExecutePipelineRequest{Database: d.name})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
		"explain_options": func() error {
			stream, err := d.raw.RunQuery(ctx, &pb.RunQueryRequest{Parent: d.name + "/documents", ExplainOptions: &pb.ExplainOptions{},
				QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c"}}}}})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
		"BSON": func() error {
			_, err := d.root.Doc("x").Set(ctx, fields{"f": fields{"__oid__": "0123456789abcdef01234567"}})
			return err
		},
	}
	for c, do := range tests {
		err := do()
		switch {
		case !ours || !lacks[c]:
			if status.Code(err) == codes.Unimplemented {
				t.Errorf("%s: %v", c, err)
			}
		case status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), string(c)):
			t.Errorf("%s: got %v, want Unimplemented and the feature's name", c, err)
		}
	}
}

func TestWebPagesAreRefused(t *testing.T) {
	if !ours {
		t.Skip("a promise of ours")
	}
	d := start(t)
	_, err := d.raw.Commit(metadata.AppendToOutgoingContext(t.Context(), "origin", "http://evil.example"), &pb.CommitRequest{Database: d.name})
	wantCode(t, "from a web page", err, codes.PermissionDenied)
}
