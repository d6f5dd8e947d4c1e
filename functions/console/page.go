package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/callout-dev/callout/shared/logging"
)

//go:embed page static
var files embed.FS

// pages are the templates by name, each with the frame around it. Every value in them is escaped by its place. They are parsed when the
// first page is asked for: all functions are one binary, and the others start without them.
var pages = sync.OnceValue(parsePages)

func parsePages() map[string]*template.Template {
	common := template.Must(template.New("").Funcs(words()).ParseFS(files, "page/frame.html", "page/part.html"))
	all := map[string]*template.Template{}
	names, _ := fs.Glob(files, "page/*.html") // the pattern is a good one
	for _, name := range names {
		if name != "page/frame.html" && name != "page/part.html" {
			short := strings.TrimSuffix(strings.TrimPrefix(name, "page/"), ".html")
			all[short] = template.Must(template.Must(common.Clone()).ParseFS(files, name))
		}
	}
	return all
}

// frame is what stands around a page.
type frame struct {
	Title string
	// Section is the part of the console that the page belongs to.
	Section string
	// User is who has signed in, "" for nobody.
	User string
	Note *note
	Data any
}

// section is the first part of a path below /console/.
func section(path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, root), "/")
	switch name {
	case "":
		return "overview"
	case "explain":
		return "deliveries"
	}
	return name
}

// render makes the whole page before any of it is sent: half a page is none.
func (c *Console) render(w http.ResponseWriter, status int, name string, f frame) error {
	var body bytes.Buffer
	if err := pages()[name].ExecuteTemplate(&body, "frame", f); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a browser that does not read on has gone
	return nil
}

// show answers with a page that says one thing, to who has signed in or to nobody.
func (c *Console) show(w http.ResponseWriter, r *http.Request, status int, user string, m message) {
	if err := c.render(w, status, "message", frame{Title: m.Title, User: user, Section: section(r.URL.Path), Data: m}); err != nil {
		c.Log.LogAttrs(r.Context(), slog.LevelError, "console", slog.Any(logging.Err, err))
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}

// assets are the files that pages refer to, and their types.
var assets = map[string]string{
	"style.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
}

// static serves a file. Pages name it by its content, so that it may be kept for good.
func static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	content, err := files.ReadFile("static/" + name)
	if assets[name] == "" || err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", assets[name])
	if r.URL.Query().Get("v") == sum(name) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(content) // a browser that does not read on has gone
}

// sum is short for the content of a static file.
func sum(name string) string {
	content, _ := files.ReadFile("static/" + name) // it is there, or static has said that it is not
	all := sha256.Sum256(content)
	return hex.EncodeToString(all[:6])
}
