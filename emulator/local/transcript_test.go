package local_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the answers of the transcripts anew")

// TestTranscripts plays testdata/transcripts: each file is a fresh installation, each "request" section is sent and each "answer"
// section is what must come back. "As: viewer" among the headers says whose token is sent; none without it.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	if _, err := keys(); err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playTranscript(t, path) })
		})
	}
}

func playTranscript(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i := start(t, nil)
	w := &words{byValue: map[string]string{}, byWord: map[string]string{}}
	got := &txtar.Archive{Comment: archive.Comment}
	for _, f := range archive.Files {
		name, isRequest := strings.CutPrefix(f.Name, "request ")
		if !isRequest {
			continue
		}
		answer := w.hide(i.send(t, w.reveal(f.Data)))
		got.Files = append(got.Files, f, txtar.File{Name: "answer " + name, Data: answer})
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(got))); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// send sends a request as it stands in a transcript and gives the answer as it stands there.
func (i *installation) send(t *testing.T, text []byte) []byte {
	t.Helper()
	reader := textproto.NewReader(bufio.NewReader(bytes.NewReader(text)))
	line, err := reader.ReadLine()
	if err != nil {
		t.Fatal(err)
	}
	method, path, _ := strings.Cut(line, " ")
	header, err := reader.ReadMIMEHeader()
	if err != nil && err != io.EOF {
		t.Fatalf("%s: %v", line, err)
	}
	body, err := io.ReadAll(reader.R)
	if err != nil {
		t.Fatal(err)
	}
	client := i.client
	if as := header.Get("As"); as != "" {
		client = i.as(t.Context(), as)
		header.Del("As")
	}
	body = bytes.TrimSpace(body)
	if n := header.Get("Repeat"); n != "" { // a body too large to stand in a file
		var times int
		if _, err := fmt.Sscan(n, &times); err != nil {
			t.Fatal(err)
		}
		body = bytes.ReplaceAll(body, []byte("…"), bytes.Repeat([]byte("x"), times))
		header.Del("Repeat")
	}
	request, err := http.NewRequestWithContext(t.Context(), method, i.Info.API+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	if request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%d\n", response.StatusCode)
	if err := json.Indent(&out, answer, "", "  "); err != nil {
		out.Write(answer)
	}
	return append(bytes.TrimSpace(out.Bytes()), '\n')
}

// words replaces what differs from run to run by words, and back in later requests: ids, signing keys and times.
type words struct {
	byValue, byWord map[string]string
}

var varying = []struct {
	word    string
	pattern *regexp.Regexp
}{
	{"ID", regexp.MustCompile(`\b[a-z2-7]{26}\b`)},
	{"KEY", regexp.MustCompile(`\b[A-Za-z0-9]{36}\b`)},
	{"TIME", regexp.MustCompile(`\b2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)},
}

func (w *words) hide(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte("\u00a0"), []byte(" ")) // protobuf varies the space in its errors from build to build
	for _, v := range varying {
		text = v.pattern.ReplaceAllFunc(text, func(value []byte) []byte {
			if v.word == "TIME" {
				return []byte("TIME")
			}
			word, ok := w.byValue[string(value)]
			if !ok {
				word = fmt.Sprintf("%s-%d", v.word, len(w.byValue)+1)
				w.byValue[string(value)], w.byWord[word] = word, string(value)
			}
			return []byte(word)
		})
	}
	return text
}

func (w *words) reveal(text []byte) []byte {
	for word, value := range w.byWord {
		text = regexp.MustCompile(`\b`+word+`\b`).ReplaceAll(text, []byte(value))
	}
	return text
}
