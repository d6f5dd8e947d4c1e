package routing

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/callout-dev/callout/shared/action"
)

// changesOfAll are the ways in which a route may change. Each begins with targets t1 and t2, event/e of t1, and nothing for f.
var changesOfAll = []struct {
	name          string
	change        func(*testing.T, *process)
	ask           string
	before, after string
}{
	{"another target", func(t *testing.T, p *process) { p.execution(t, here, "event/e", "t2") }, "e", "event/e: t1", "event/e: t2"},
	{"no target any more", func(t *testing.T, p *process) { p.execution(t, here, "event/e") }, "e", "event/e: t1", "nothing"},
	{"an execution where none was", func(t *testing.T, p *process) { p.execution(t, here, "event/f", "t1", "t2") }, "f", "nothing", "event/f: t1 t2"},
	{"a group where none was", func(t *testing.T, p *process) { p.execution(t, here, "event/f.*", "t2") }, "f.g", "nothing", "event/f.*: t2"},
	{"all where none was", func(t *testing.T, p *process) { p.execution(t, here, "event", "t2") }, "f", "nothing", "event: t2"},
	{"a target removed", func(t *testing.T, p *process) { p.remove(t, here, "t1") }, "e", "event/e: t1", "nothing"},
	{"a target created that was asked for", func(t *testing.T, p *process) {
		p.target(t, here, "t3")
		p.execution(t, here, "event/f", "t3")
	}, "f", "nothing", "event/f: t3"},
	{"a valve", func(t *testing.T, p *process) {
		p.setValve(t, action.Valve{Instance: here, Target: "t1", State: action.ValveOpen})
		p.Forget(action.Change{Instance: here, Kind: action.ChangeValve, ID: "t1"})
	}, "e", "event/e: t1", "event/e: t1(open)"},
}

func ground(t *testing.T, p *process) {
	t.Helper()
	p.target(t, here, "t1")
	p.target(t, here, "t2")
	p.execution(t, here, "event/e", "t1")
}

func TestOwnWriteIsSeenAtOnce(t *testing.T) {
	for _, tt := range changesOfAll {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := openDatabase(t).process(t)
				ground(t, p)
				want(t, p.event(t, here, tt.ask), tt.before)
				tt.change(t, p)
				want(t, p.event(t, here, tt.ask), tt.after)
			})
		})
	}
}

// TestOtherProcessSeesItWithinTwoSeconds asks all the time, and at the moment two seconds after the change.
func TestOtherProcessSeesItWithinTwoSeconds(t *testing.T) {
	for i, tt := range changesOfAll {
		often := []time.Duration{700 * time.Millisecond}
		if i == 0 {
			often = append(often, 10*time.Millisecond, 1999*time.Millisecond)
		}
		for _, every := range often {
			t.Run(fmt.Sprintf("%s, asked every %v", tt.name, every), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					db := openDatabase(t)
					writer, reader := db.process(t), db.process(t)
					ground(t, writer)
					for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(every) {
						want(t, reader.event(t, here, tt.ask), tt.before)
					}
					tt.change(t, writer)
					changed := time.Now()
					for time.Since(changed)+every < 2*time.Second {
						reader.event(t, here, tt.ask)
						time.Sleep(every)
					}
					time.Sleep(2*time.Second + time.Millisecond - time.Since(changed))
					want(t, reader.event(t, here, tt.ask), tt.after)
				})
			})
		}
	}
}

// TestFrozenProcess: nothing runs in the process for a while; its first call afterwards uses the new route.
func TestFrozenProcess(t *testing.T) {
	for i, tt := range changesOfAll {
		long := []time.Duration{2001 * time.Millisecond}
		if i == 0 {
			long = append(long, time.Minute, 29*time.Minute, time.Hour, 26*time.Hour)
		}
		for _, frozen := range long {
			t.Run(fmt.Sprintf("%s, %v", tt.name, frozen), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					db := openDatabase(t)
					writer, reader := db.process(t), db.process(t)
					ground(t, writer)
					want(t, reader.event(t, here, tt.ask), tt.before)
					tt.change(t, writer)
					looks := reader.between.count("changes")
					time.Sleep(frozen)
					if n := reader.between.count("changes"); n != looks {
						t.Errorf("%d looks while nobody asked", n-looks)
					}
					want(t, reader.event(t, here, tt.ask), tt.after)
				})
			})
		}
	}
}

// TestFrozenDuringALook: what was read before the process froze does not pass for news.
func TestFrozenDuringALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openDatabase(t)
		writer, reader := db.process(t), db.process(t)
		ground(t, writer)
		want(t, reader.event(t, here, "e"), "event/e: t1")
		time.Sleep(1500 * time.Millisecond)
		frozen := make(chan struct{})
		reader.between.set(func(b *between) {
			b.read = func(what string) {
				if what == "changes" {
					<-frozen // after it was read
				}
			}
		})
		want(t, reader.event(t, here, "e"), "event/e: t1") // a look goes beside
		synctest.Wait()
		reader.between.set(func(b *between) { b.read = nil })
		writer.execution(t, here, "event/e", "t2")
		time.Sleep(time.Hour)
		close(frozen)
		want(t, reader.event(t, here, "e"), "event/e: t2")
		synctest.Wait()
		want(t, reader.event(t, here, "e"), "event/e: t2")
	})
}

// TestAChangeIsHandledOnce: looks overlap, and must not drop the same again and again.
func TestAChangeIsHandledOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openDatabase(t)
		writer, reader := db.process(t), db.process(t)
		ground(t, writer)
		time.Sleep(time.Minute)
		reader.event(t, here, "e")
		reader.event(t, here, "f.g")
		before := reader.between.count("executions")
		writer.execution(t, here, "event/e", "t2")
		writer.execution(t, here, "event/e", "t1")
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			reader.event(t, here, "e")
			reader.event(t, here, "f.g")
		}
		if n := reader.between.count("executions") - before; n != 1 {
			t.Errorf("%d reads of executions after one change, want 1", n)
		}
		if n := reader.between.count("changes"); n > 70 {
			t.Errorf("%d looks in a minute", n)
		}
		if n := len(reader.looking.handled); n != 0 {
			t.Errorf("%d changes are remembered, and no look can find them again", n)
		}
	})
}

// TestMoreChangesThanALookGives drops everything rather than miss one.
func TestMoreChangesThanALookGives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openDatabase(t)
		writer, reader := db.process(t), db.process(t)
		ground(t, writer)
		want(t, reader.event(t, here, "e"), "event/e: t1")
		for range 3 {
			batch := writer.client.BulkWriter(t.Context())
			for i := range action.MaxChanges / 2 {
				_, err := batch.Create(writer.client.Collection("instances/there/changes").NewDoc(), map[string]any{
					"kind": "execution", "id": fmt.Sprintf("event/x%d", i), "at": firestore.ServerTimestamp, "expireAt": time.Now().Add(time.Hour)})
				if err != nil {
					t.Fatal(err)
				}
			}
			batch.End()
		}
		writer.execution(t, here, "event/e", "t2")
		time.Sleep(2001 * time.Millisecond)
		for range 2 { // the next look overlaps with that one, and finds as many
			want(t, reader.event(t, here, "e"), "event/e: t2")
			time.Sleep(time.Minute)
		}
		reads := reader.between.count("executions")
		want(t, reader.event(t, here, "e"), "event/e: t2")
		if n := reader.between.count("executions"); n != reads {
			t.Error("what was known is dropped still")
		}
	})
}

func TestChangesThatNameNothingAndUnknownOnes(t *testing.T) {
	tests := []struct {
		name   string
		change action.Change
		reads  int
	}{
		{"something else", action.Change{Instance: here, Kind: action.ChangeExecution, ID: "event/g"}, 0},
		{"the same in another instance", action.Change{Instance: "there", Kind: action.ChangeExecution, ID: "event/e"}, 0},
		{"a target of the name of an execution", action.Change{Instance: here, Kind: action.ChangeTarget, ID: "event/e"}, 0},
		{"a kind of a later version", action.Change{Instance: here, Kind: "key", ID: "event/e"}, 0},
		{"the execution", action.Change{Instance: here, Kind: action.ChangeExecution, ID: "event/e"}, 1},
		{"a candidate that would come after it", action.Change{Instance: here, Kind: action.ChangeExecution, ID: "event"}, 0},
		{"no id", action.Change{Instance: "there", Kind: action.ChangeTarget}, 1},
		{"no kind", action.Change{Instance: "there", ID: "x"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := openDatabase(t).process(t)
				ground(t, p)
				want(t, p.event(t, here, "e"), "event/e: t1")
				p.Forget(tt.change)
				want(t, p.event(t, here, "e"), "event/e: t1")
				if n := p.between.count("executions") - 1; n != tt.reads {
					t.Errorf("%d reads, want %d", n, tt.reads)
				}
			})
		})
	}
}
