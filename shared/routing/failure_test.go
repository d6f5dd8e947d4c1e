package routing

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/shared/errs"
)

var errDown = errs.New(errs.Unavailable, "", "the database is down")

func fail(p *process, err error) { p.between.set(func(b *between) { b.err = err }) }

func delay(p *process, d time.Duration) { p.between.set(func(b *between) { b.delay = d }) }

// TestFailingDatabase: what is known serves for hours, and it says so; the first call after two seconds of health is right again.
func TestFailingDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openDatabase(t)
		writer, reader := db.process(t), db.process(t)
		ground(t, writer)
		want(t, reader.event(t, here, "e"), "event/e: t1")
		if s := reader.Status(); s.Err != nil || s.Stale != 0 || s.Looked.IsZero() || s.Answers != 1 || s.Facts != 2 || s.Bytes == 0 {
			t.Errorf("in health: %+v", s)
		}
		fail(reader, errDown)
		looks := reader.between.count("changes")
		calls := 0
		for end := time.Now().Add(3 * time.Hour); time.Now().Before(end); time.Sleep(15 * time.Second) {
			begin := time.Now()
			want(t, reader.event(t, here, "e"), "event/e: t1")
			if took := time.Since(begin); took > patience {
				t.Fatalf("a call took %v", took)
			}
			reader.event(t, here, "e")
			calls += 2
		}
		if s := reader.Status(); !errors.Is(s.Err, errDown) || s.Stale < uint64(calls)-3 || s.Age < 3*time.Hour {
			t.Errorf("in failure: %+v after %d calls", s, calls)
		}
		if n := reader.between.count("changes") - looks; n > calls/2+1 {
			t.Errorf("%d looks in %d calls: a database that fails should be left alone", n, calls)
		}
		if n := reader.lines.count("changes cannot be read:"); n < 178 || n > 181 {
			t.Errorf("logged %d times in 180 minutes", n)
		}
		if _, err := reader.Event(t.Context(), here, "unknown"); !errs.Is(err, errs.Unavailable) {
			t.Errorf("nothing is known of it: %v", err)
		}
		if _, err := reader.Destination(t.Context(), here, "t2"); !errs.Is(err, errs.Unavailable) {
			t.Errorf("nothing is known of it: %v", err)
		}
		writer.execution(t, here, "event/e", "t2")
		want(t, reader.event(t, here, "e"), "event/e: t1")
		fail(reader, nil)
		time.Sleep(pause)
		want(t, reader.event(t, here, "e"), "event/e: t2")
		if s := reader.Status(); s.Err != nil || s.Age > 0 || reader.lines.count("can be read again") != 1 {
			t.Errorf("after recovery: %+v", s)
		}
	})
}

// TestFailureFromTheStart: nothing is known, so the error is the caller's, and what is read without a look is not kept.
func TestFailureFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openDatabase(t)
		writer, reader := db.process(t), db.process(t)
		ground(t, writer)
		fail(reader, errDown)
		if _, err := reader.Event(t.Context(), here, "e"); !errs.Is(err, errs.Unavailable) {
			t.Errorf("got %v", err)
		}
		fail(reader, nil)
		delay(reader, time.Hour)
		want(t, reader.event(t, here, "e"), "event/e: t1")
		writer.execution(t, here, "event/e", "t2")
		want(t, reader.event(t, here, "e"), "event/e: t2")
		if s := reader.Status(); s.Answers != 0 || !s.Looked.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}

// TestHangingDatabase: a look costs a caller 300 ms at most, and next to nobody when it goes on.
func TestHangingDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openDatabase(t).process(t)
		ground(t, p)
		want(t, p.event(t, here, "e"), "event/e: t1")
		delay(p, time.Hour)
		time.Sleep(3 * time.Second)
		var waited time.Duration
		start := time.Now()
		for time.Since(start) < time.Minute {
			begin := time.Now()
			want(t, p.event(t, here, "e"), "event/e: t1")
			took := time.Since(begin)
			if took > patience {
				t.Fatalf("a call took %v", took)
			}
			waited += took
			time.Sleep(10 * time.Millisecond)
		}
		if waited > 15*time.Second {
			t.Errorf("a caller waited for %v of a minute", waited)
		}
		if s := p.Status(); s.Err == nil || s.Stale == 0 {
			t.Errorf("%+v", s)
		}
		delay(p, 0)
		time.Sleep(2 * time.Second)
		p.event(t, here, "e")
		if s := p.Status(); s.Err != nil || s.Age > time.Second {
			t.Errorf("after recovery: %+v", s)
		}
	})
}

// TestSlowDatabase: looks of 400 ms are waited for in part, and count when they arrive.
func TestSlowDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openDatabase(t)
		writer, reader := db.process(t), db.process(t)
		ground(t, writer)
		want(t, reader.event(t, here, "e"), "event/e: t1")
		delay(reader, 400*time.Millisecond)
		writer.execution(t, here, "event/e", "t2")
		time.Sleep(time.Hour)
		want(t, reader.event(t, here, "e"), "event/e: t1")
		time.Sleep(100 * time.Millisecond)
		want(t, reader.event(t, here, "e"), "event/e: t2")
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			reader.event(t, here, "e")
		}
		if s := reader.Status(); s.Stale != 1 || s.Err != nil {
			t.Errorf("%+v", s)
		}
	})
}

// TestWallClockSetBack: an age that nobody can know is the greatest. The bubble's clock cannot go back, so the last look goes forth.
func TestWallClockSetBack(t *testing.T) {
	for _, back := range []time.Duration{time.Millisecond, time.Minute, 24 * time.Hour} {
		t.Run(back.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := openDatabase(t)
				writer, reader := db.process(t), db.process(t)
				ground(t, writer)
				want(t, reader.event(t, here, "e"), "event/e: t1")
				writer.execution(t, here, "event/e", "t2")
				last := *reader.seen.Load()
				last.at = time.Unix(0, last.at.Add(back).UnixNano())
				reader.seen.Store(&last)
				want(t, reader.event(t, here, "e"), "event/e: t2")
				if age := reader.Status().Age; age != 0 {
					t.Errorf("age %v", age)
				}
			})
		})
	}
}

// TestServerClockSetBack: later changes bear times before the last look's, so nothing that is known can be trusted.
func TestServerClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openDatabase(t)
		writer, reader := db.process(t), db.process(t)
		ground(t, writer)
		want(t, reader.event(t, here, "e"), "event/e: t1")
		writer.execution(t, here, "event/e", "t2")
		last := *reader.seen.Load()
		last.asOf = last.asOf.Add(time.Hour)
		reader.seen.Store(&last)
		time.Sleep(3 * time.Second)
		want(t, reader.event(t, here, "e"), "event/e: t2")
		writer.execution(t, here, "event/e", "t1")
		time.Sleep(3 * time.Second)
		want(t, reader.event(t, here, "e"), "event/e: t1")
	})
}

func TestSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		then := time.Now()
		time.Sleep(time.Minute)
		now := time.Now()
		tests := []struct {
			name string
			then time.Time
			want time.Duration
		}{
			{"both clocks agree", then, time.Minute},
			{"the monotonic clock stood still", now.Round(0).Add(-time.Hour), time.Hour},
			{"the wall clock was set back", now.Round(0).Add(time.Second), math.MaxInt64},
			{"never", time.Time{}, math.MaxInt64},
		}
		for _, tt := range tests {
			if got := since(tt.then, now); got != tt.want {
				t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
			}
		}
	})
}
