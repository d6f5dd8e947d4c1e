package auth_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
)

func TestLimitsFromText(t *testing.T) {
	for text, want := range map[string]auth.Limits{
		"publish=100/s":               {auth.LimitPublish: {Calls: 100, Per: time.Second}},
		"publish=1/m, invoke=50/h":    {auth.LimitPublish: {Calls: 1, Per: time.Minute}, auth.LimitInvoke: {Calls: 50, Per: time.Hour}},
		" invoke=1000000/s":           {auth.LimitInvoke: {Calls: 1000000, Per: time.Second}},
		"invoke=50/s,publish=00007/s": {auth.LimitInvoke: {Calls: 50, Per: time.Second}, auth.LimitPublish: {Calls: 7, Per: time.Second}},
	} {
		var got auth.Limits
		err := got.UnmarshalText([]byte(text))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for _, text := range []string{"publish", "publish=", "publish=100", "publish=/s", "publish=0/s", "publish=-1/s", "publish=+1/s", "publish=1.5/s", "publish=1000001/s",
		"publish=1/d", "publish=1/S", "publish=1/s/s", "publish=1 /s", "Publish=1/s", "target=1/s", "=1/s", "publish=1/s,", "publish=1/s,,invoke=1/s", "publish=1/s,publish=2/s", "publish=1/s invoke=1/s"} {
		var l auth.Limits
		if err := l.UnmarshalText([]byte(text)); err == nil || l != nil {
			t.Errorf("%q: taken as %v", text, l)
		}
	}
}

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := auth.NewLimiter(auth.Limit{Calls: 3, Per: time.Minute})
		a := auth.Caller{Subject: "a", Instance: "one"}
		take := func(c auth.Caller, retry time.Duration) {
			t.Helper()
			err := l.Take(c)
			if retry == 0 {
				if err != nil {
					t.Errorf("%s: %v", c.Subject, err)
				}
				return
			}
			e, ok := errs.As(err)
			if !ok || e.Kind != errs.ResourceExhausted || e.Retry.Round(time.Millisecond) != retry {
				t.Errorf("%s: got %+v, want to come again after %s", c.Subject, err, retry)
			}
		}
		for range 3 {
			take(a, 0)
		}
		for range 10 { // what is refused is not counted
			take(a, 20*time.Second)
		}
		take(auth.Caller{Subject: "b", Instance: "one"}, 0)
		take(auth.Caller{Subject: "a", Instance: "two"}, 0)
		time.Sleep(20 * time.Second)
		take(a, 0)
		take(a, 20*time.Second)
		time.Sleep(time.Hour) // no more is saved up than the limit
		for range 3 {
			take(a, 0)
		}
		take(a, 20*time.Second)
		for n := range 10000 { // so many others that it is forgotten
			take(auth.Caller{Subject: fmt.Sprint("c", n), Instance: "one"}, 0)
		}
		take(a, 0)
	})
	var none *auth.Limiter = auth.NewLimiter(auth.Limit{})
	for range 1000 {
		if err := none.Take(auth.Caller{}); err != nil {
			t.Fatal(err)
		}
	}
}
