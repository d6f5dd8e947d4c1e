package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"
)

// visit is one request of somebody who has signed in.
type visit struct {
	*Console
	calls
	w       http.ResponseWriter
	r       *http.Request
	session session
}

// signedIn shows a page to who has signed in, and to others the way there.
func (c *Console) signedIn(show func(*visit) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, err := c.current(r)
		if err != nil {
			c.fail(w, r, "", err)
			return
		}
		v := &visit{Console: c, w: w, r: r, session: s, calls: calls{conn{client: s.Client(c.API), url: c.origin(r)}}}
		if r.Method == http.MethodPost {
			if err := r.ParseForm(); err != nil {
				c.show(w, r, http.StatusRequestEntityTooLarge, s.Name, message{Title: "That was too much",
					Text: "The form could not be read: it is too large, or broke off. Nothing was changed.", Link: r.URL.Path, Label: "Back"})
				return
			}
		}
		if err := show(v); err != nil {
			c.fail(w, r, s.Name, err)
		}
	}
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// form is a field of the form, or of the query of a GET.
func (v *visit) form(name string) string {
	if v.r.Method == http.MethodPost {
		return v.r.PostForm.Get(name)
	}
	return v.r.URL.Query().Get(name)
}

// id is the part of the path of that name.
func (v *visit) id() string { return v.r.PathValue("id") }

// page shows a page.
func (v *visit) page(name, title string, data any) error {
	return v.pageWith(http.StatusOK, name, title, data)
}

// again shows a form once more, with what is wrong with it.
func (v *visit) again(name, title string, data any) error {
	return v.pageWith(http.StatusUnprocessableEntity, name, title, data)
}

func (v *visit) pageWith(status int, name, title string, data any) error {
	f := frame{Title: title, Section: section(v.r.URL.Path), User: v.session.Name, Note: v.takeNote(), Data: data}
	return v.render(v.w, status, name, f)
}

// note is what the next page says once. Secret is a key that is told this one time.
type note struct {
	Text   string `json:"text"`
	Secret string `json:"secret,omitempty"`
}

// noteTime is how long a note waits for its page.
const noteTime = time.Minute

// done sends the browser on after a change, with a note for the page that it comes to.
func (v *visit) done(to string, n note) error {
	content, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if err := v.setCookie(v.w, noteCookie, v.placeOfNote(), string(content), noteTime); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// placeOfNote binds a note to the session, whose reference it does not tell.
func (v *visit) placeOfNote() string {
	sum := sha256.Sum256([]byte(v.session.reference))
	return placeOfCookie(noteCookie, hex.EncodeToString(sum[:]))
}

// byScript says that the script asks, which takes a part of the page and leaves the rest alone.
func (v *visit) byScript() bool { return v.r.Header.Get("Sec-Fetch-Dest") == "empty" }

func (v *visit) takeNote() *note {
	if _, err := v.r.Cookie(noteCookie); err != nil || v.byScript() {
		return nil
	}
	dropCookie(v.w, noteCookie)
	content, ok := v.cookie(v.r, noteCookie, v.placeOfNote())
	var n note
	if !ok || json.Unmarshal([]byte(content), &n) != nil {
		return nil
	}
	return &n
}
