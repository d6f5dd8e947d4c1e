package doctor

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestAhead(t *testing.T) {
	began := time.Date(2000, 1, 1, 0, 0, 10, 0, time.UTC)
	for name, tt := range map[string]struct {
		date time.Time
		took time.Duration
		want time.Duration
	}{
		"the same second":          {began, time.Second, 0},
		"a slow answer":            {began.Add(2 * time.Second), 4 * time.Second, 500 * time.Millisecond},
		"a minute ahead":           {began.Add(time.Minute), time.Second, time.Minute},
		"an hour behind this side": {began.Add(-time.Hour), time.Second, -time.Hour},
	} {
		if got := ahead(tt.date, began, tt.took); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestKeysIn(t *testing.T) {
	const ec = `"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"`
	for name, tt := range map[string]struct {
		status      int
		body        string
		usable, all int
		fails       bool
	}{
		"one":                  {200, `{"keys":[{` + ec + `}]}`, 1, 1, false},
		"of another algorithm": {200, `{"keys":[{` + ec + `,"alg":"ES512"},{` + ec + `,"alg":"ES256"}]}`, 1, 2, false},
		"for encryption":       {200, `{"keys":[{` + ec + `,"use":"enc"}]}`, 0, 1, false},
		"symmetric":            {200, `{"keys":[{"kty":"oct","k":"AAAA"}]}`, 0, 1, false},
		"none":                 {200, `{"keys":[]}`, 0, 0, false},
		"not JSON":             {200, `<html>`, 0, 0, true},
		"a failure":            {503, `{"keys":[]}`, 0, 0, true},
	} {
		usable, all, err := keysIn(answer{status: tt.status, body: []byte(tt.body)})
		if usable != tt.usable || all != tt.all || (err != nil) != tt.fails {
			t.Errorf("%s: %d of %d, %v", name, usable, all, err)
		}
	}
}

// TestWhatIsWanted: the files of the infrastructure are understood.
func TestWhatIsWanted(t *testing.T) {
	indexes, err := wantedIndexes()
	if err != nil || len(indexes) < 11 {
		t.Errorf("%d indexes, %v", len(indexes), err)
	}
	for _, x := range indexes {
		if x.Collection == "" || len(x.Fields) == 0 || x.Fields[0].Path == "" || x.Fields[0].Path == "*" {
			t.Errorf("an index that nobody can ask for: %+v", x)
		}
	}
	pushed, err := pushes()
	if err != nil || len(pushed) != 4 {
		t.Errorf("%d pushes, %v", len(pushed), err)
	}
	for _, p := range pushed {
		if p.function == "" || p.topic == "" || !strings.HasPrefix(p.path, "/push/") {
			t.Errorf("%+v", p)
		}
	}
}

func TestWords(t *testing.T) {
	inner := errors.New("a\n  b")
	if got := reason(fmt.Errorf("operation: %w", inner)); got != "a b" {
		t.Errorf("the reason is %q", got)
	}
	if got := oneLine(strings.Repeat("ä", 1000)); len([]rune(got)) != 301 {
		t.Errorf("a long text has %d characters", len([]rune(got)))
	}
	if got := count(1, "key") + count(2, "key"); got != "1 key2 keys" {
		t.Errorf("counted %q", got)
	}
	if got := some([]string{"a", "b", "c", "d", "e", "f", "g"}); got != "a, b, c, d, e and 2 more" {
		t.Errorf("some are %q", got)
	}
	for text, want := range map[string]uint16{"http://a": 80, "https://a/x": 443, "http://a:8080": 8080} {
		if u, err := url.Parse(text); err != nil || portOf(u) != want {
			t.Errorf("the port of %s is %d", text, portOf(u))
		}
	}
}
