package backup_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/backup"
)

// TestHostile changes an archive as no writer of ours would. Its sums are right where it has them: they prove nothing about who made it.
func TestHostile(t *testing.T) {
	t.Parallel()
	fill := func(m *backup.Manifest, name string, size int64) {
		m.Files = append(m.Files, backup.File{Name: name, Size: size})
	}
	tests := []struct {
		name     string
		manifest func(*backup.Manifest)
		entries  func([]entry) []entry
		says     string
	}{
		{"a name that leads out", func(m *backup.Manifest) { fill(m, "store/../../../tmp/x", 1) }, nil, "no file of an installation"},
		{"an absolute name", func(m *backup.Manifest) { fill(m, "/etc/passwd", 1) }, nil, "no file of an installation"},
		{"dots for a name", func(m *backup.Manifest) { fill(m, "store/..", 1) }, nil, "no file of an installation"},
		{"a backslash", func(m *backup.Manifest) { fill(m, `store/..\..\x`, 1) }, nil, "no file of an installation"},
		{"a hidden file", func(m *backup.Manifest) { fill(m, "store/.x", 1) }, nil, "no file of an installation"},
		{"local.json", func(m *backup.Manifest) { fill(m, "local.json", 1) }, nil, "no file of an installation"},
		{"a name twice", func(m *backup.Manifest) { fill(m, "FORMAT", 1) }, nil, "occurs twice"},
		{"a huge size", func(m *backup.Manifest) { fill(m, "store/big", 1<<62) }, nil, "are the most"},
		{"a negative size", func(m *backup.Manifest) { fill(m, "store/big", -1) }, nil, "are the most"},
		{"a huge sum of sizes", func(m *backup.Manifest) {
			for n := range 2000 {
				fill(m, "store/"+string(rune('a'+n%26))+string(rune('a'+n/26%26))+string(rune('a'+n/676)), 4<<30)
			}
		}, nil, "more than 4398046511104 bytes"},
		{"a larger size than there is", func(m *backup.Manifest) { m.Files[0].Size++ }, nil, "by the manifest"},
		{"a file that is not there", func(m *backup.Manifest) { fill(m, "store/more", 0) }, nil, `"SHA256SUMS" is where "store/more" should be`},
		{"a seal key that it denies", func(m *backup.Manifest) { m.SealKey.Included = false }, nil, "at odds"},
		{"text that moves the cursor", func(m *backup.Manifest) { m.API = "\x1b[2J" }, nil, "not printable"},
		{"a newer format", func(m *backup.Manifest) { m.Format = 2 }, nil, "of format 2"},
		{"no format", func(m *backup.Manifest) { m.Format = 0 }, nil, "not a JSON object with a format"},
		{"an entry that the manifest does not know", nil, func(e []entry) []entry { return insert(e, 2, plain("store/x", "")) }, `"store/x" is where`},
		{"an entry twice", nil, func(e []entry) []entry { return insert(e, 2, e[1]) }, `"FORMAT" is where`},
		{"another order", nil, func(e []entry) []entry { e[1], e[2] = e[2], e[1]; return e }, "is where"},
		{"an entry after the sums", nil, func(e []entry) []entry { return append(e, plain("store/x", "")) }, "something follows"},
		{"a link", nil, func(e []entry) []entry {
			e[1].Header = tar.Header{Name: "FORMAT", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd", Format: tar.FormatUSTAR}
			e[1].content = ""
			return e
		}, "not a plain file"},
		{"a hard link", nil, func(e []entry) []entry {
			e[1].Header = tar.Header{Name: "FORMAT", Typeflag: tar.TypeLink, Linkname: "issuer.json", Format: tar.FormatUSTAR}
			e[1].content = ""
			return e
		}, "not a plain file"},
		{"a device", nil, func(e []entry) []entry {
			e[1].Header = tar.Header{Name: "FORMAT", Typeflag: tar.TypeChar, Format: tar.FormatUSTAR}
			e[1].content = ""
			return e
		}, "not a plain file"},
		{"an extended header", nil, func(e []entry) []entry {
			e[1].Format, e[1].PAXRecords = tar.FormatPAX, map[string]string{"CALLOUT.x": "y"}
			return e
		}, "not a plain file"},
		{"other content", nil, func(e []entry) []entry { e[1].content = "callout-data 2\n"; return e }, "FORMAT is not what was written"},
		{"another manifest", nil, func(e []entry) []entry {
			e[0].content = e[0].content[:len(e[0].content)-1] + " }"
			e[0].Size++
			return e
		},
			"manifest.json is not what was written"},
		{"no sums", nil, func(e []entry) []entry { return e[:len(e)-1] }, "unexpected EOF"},
		{"no manifest", nil, func(e []entry) []entry { return e[1:] }, `"manifest.json" should be`},
		{"a huge manifest", nil, func(e []entry) []entry { return insert(e, 0, plain("manifest.json", string(make([]byte, 17<<20)))) }, "are the most"},
		{"a manifest with a stranger's field", nil, func(e []entry) []entry { e[0] = plain("manifest.json", `{"format":1,"x":1}`); return e }, "a field is unknown"},
		{"two manifests", nil, func(e []entry) []entry { e[0] = plain("manifest.json", e[0].content+"{}"); return e }, "not a JSON object"},
		{"a manifest of nothing", nil, func(e []entry) []entry { e[0] = plain("manifest.json", `{"format":1}`); return e }, "are missing"},
	}
	good := unpack(t, written(t, installation()))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			entries := append([]entry{}, good...)
			if tt.manifest != nil {
				var m backup.Manifest
				if err := json.Unmarshal([]byte(entries[0].content), &m); err != nil {
					t.Fatal(err)
				}
				tt.manifest(&m)
				text, err := json.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				entries[0] = plain("manifest.json", string(text))
			}
			if tt.entries != nil {
				entries = tt.entries(entries)
			}
			wantNothing(t, tt.name, pack(t, entries), tt.says)
		})
	}
}

func plain(name, content string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o600, Format: tar.FormatUSTAR}, content}
}

func insert(entries []entry, at int, e entry) []entry {
	return append(append(append([]entry{}, entries[:at]...), e), entries[at:]...)
}

func TestNoBackupAtAll(t *testing.T) {
	t.Parallel()
	for name, file := range map[string][]byte{
		"nothing": nil, "text": []byte("hello, this is not a backup"), "a tar archive": pack(t, nil), "zeros": make([]byte, 4096),
		"compressed text": compressed(t, []byte("hello")),
	} {
		wantNothing(t, name, file, "damaged or incomplete")
	}
	m := unpack(t, written(t, installation()))
	m[0] = plain("manifest.json", `{"format":99,"what":"ever"}`)
	if _, err := backup.Read(bytes.NewReader(pack(t, m)), nil); !errors.Is(err, backup.ErrNewer) || errors.Is(err, backup.ErrDamaged) {
		t.Errorf("a newer one: %v", err)
	}
}

// A link in the place of the store's folder, made while it is being restored, leads nowhere.
func TestRestoreFollowsNoLink(t *testing.T) {
	t.Parallel()
	file := written(t, installation())
	outer := t.TempDir()
	dir, elsewhere := filepath.Join(outer, "data"), filepath.Join(outer, "elsewhere")
	if err := os.Mkdir(elsewhere, 0o700); err != nil {
		t.Fatal(err)
	}
	swap := func() {
		_ = os.Remove(filepath.Join(dir, "store"))
		_ = os.Symlink(elsewhere, filepath.Join(dir, "store"))
	}
	if _, err := backup.Restore(&watched{bytes.NewReader(file), swap}, dir); err == nil {
		t.Error("restored through a link")
	}
	if left := contents(t, elsewhere); len(left) > 0 {
		t.Errorf("%v was written elsewhere", left)
	}
}

// FuzzRead wants no panic, bounded work, and of what is accepted that it is what its manifest says.
func FuzzRead(f *testing.F) {
	good := written(f, installation())
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(pack(f, unpack(f, good)[:3]))
	f.Add(compressed(f, []byte("hello")))
	f.Fuzz(func(t *testing.T, file []byte) {
		var got []backup.File
		m, err := backup.Read(bytes.NewReader(file), func(f backup.File, content io.Reader) error {
			n, err := io.Copy(io.Discard, content)
			got = append(got, backup.File{Name: f.Name, Size: n})
			return err
		})
		if err != nil && !errors.Is(err, backup.ErrDamaged) && !errors.Is(err, backup.ErrNewer) {
			t.Errorf("refused without saying of what kind it is: %v", err)
		}
		if err == nil && !cmp.Equal(m.Files, got) {
			t.Errorf("the manifest says %v, and there is %v", m.Files, got)
		}
	})
}
