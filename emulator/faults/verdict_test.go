package faults_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/shared/action"
)

const (
	// mostLate is how long after its time something may still lie untouched.
	mostLate = time.Hour
	// lookEvery is how often a scenario is looked at while it settles, longest how long that may take.
	lookEvery = 10 * time.Minute
	longest   = 10 * 24 * time.Hour
)

// snapshot is what lies in the database.
type snapshot struct {
	at        time.Time
	documents []document
	byState   map[string]int
	valves    map[string]bool // targets that have one
}

func (w *world) snapshot() snapshot {
	w.t.Helper()
	s := snapshot{at: time.Now(), byState: map[string]int{}, valves: map[string]bool{}}
	err := readAll(context.Background(), w.firestore, "deliveries", func(doc *firestorepb.Document) {
		d := decode(doc)
		s.documents = append(s.documents, d)
		s.byState[d.state]++
	})
	if err == nil {
		err = readAll(context.Background(), w.firestore, "valves", func(doc *firestorepb.Document) { s.valves[last(doc.GetName())] = true })
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// unfinished counts what is not final, but for the targets that are paused.
func (s snapshot) unfinished(paused ...string) int {
	n := 0
	for _, d := range s.documents {
		if !d.final() && !slices.Contains(paused, d.target) {
			n++
		}
	}
	return n
}

// expectation is what a scenario allows besides the law.
type expectation struct {
	// mayDie are the names of targets whose deliveries may be dead in the end, or skipped.
	mayDie []string
	// unbounded says that writes that were reported as failed make the count of holds meaningless.
	unbounded bool
	// most is how long it may take until all is quiet; 0 is longest.
	most time.Duration
}

// settle lets time pass until everything is final, watching for what is stuck. It gives how long that took.
func (w *world) settle(most time.Duration) (snapshot, time.Duration) {
	w.t.Helper()
	if most == 0 {
		most = longest
	}
	began := time.Now()
	for {
		s := w.snapshot()
		// What is on its way through the topics is in no document yet.
		if s.unfinished() == 0 && len(s.documents) >= w.accepted() {
			return s, w.elapsed()
		}
		if time.Since(began) > most {
			w.t.Errorf("not quiet after %v: %v", time.Since(began), s.byState)
			for n, d := range s.documents {
				if !d.final() && n < 5000 {
					w.t.Logf("%+v due in %v", d, d.due.Sub(s.at))
				}
			}
			return s, w.elapsed()
		}
		time.Sleep(lookEvery)
		w.checkStuck()
	}
}

// accepted is how many deliveries there must be.
func (w *world) accepted() int {
	n := 0
	for _, eventType := range w.sent {
		n += len(w.routes[eventType])
	}
	return n
}

// checkStuck finds what nobody looks after.
func (w *world) checkStuck() {
	w.t.Helper()
	now := w.snapshot()
	var lonely []string
	for _, d := range now.documents {
		if d.final() {
			continue
		}
		_, target, inTargetLane := strings.Cut(d.lane, "/")
		if !inTargetLane && now.at.Sub(d.due) > mostLate {
			w.t.Errorf("stuck for %v: %+v", now.at.Sub(d.due), d)
		}
		if inTargetLane && !now.valves[target] {
			lonely = append(lonely, d.id)
		}
	}
	if len(lonely) == 0 {
		return
	}
	time.Sleep(2 * time.Minute) // the survey comes by each minute
	then := w.snapshot()
	for _, d := range then.documents {
		_, target, inTargetLane := strings.Cut(d.lane, "/")
		if slices.Contains(lonely, d.id) && inTargetLane && !then.valves[target] {
			w.t.Errorf("in a lane that has had no valve for two minutes: %+v", d)
		}
	}
}

// result is a line of the report.
type result struct {
	test     string
	group    string
	kind     string // of fault
	scenario string
	faults   int
	sent     int // events; in virtual time all of them are acknowledged
	events   int // acknowledged
	lost     int // of these, what a target never saw
	accepted int // deliveries
	byState  map[string]int
	calls    int
	repeated int
	quiet    time.Duration
	failed   bool
}

// judge settles the world and holds it against the law.
func (w *world) judge(group, kind, name string, e expectation) result {
	w.t.Helper()
	s, quiet := w.settle(e.most)
	w.readLetters()
	r := result{
		group: group, kind: kind, scenario: name, faults: sum(w.inject.injected()), events: len(w.sent), accepted: w.accepted(), byState: s.byState, quiet: quiet,
	}
	w.checkLaw(s, r)
	w.checkDocuments(s, e)
	w.checkArrivals(s, e)
	if !e.unbounded {
		w.checkHolds(s)
	}
	bad := 0
	for _, site := range w.sites {
		_, calls, repeated := site.saw()
		r.calls += calls
		r.repeated += repeated
		bad += calls - site.good()
	}
	if r.faults == 0 {
		r.faults = bad
	}
	return r
}

func (w *world) checkLaw(s snapshot, r result) {
	w.t.Helper()
	sum := 0
	for _, state := range []string{"pending", "retrying", finalDelivered, finalDead, finalSkipped} {
		sum += s.byState[state]
	}
	if sum != r.accepted || len(s.documents) != r.accepted {
		w.t.Errorf("%d deliveries, in states %v, of %d accepted", len(s.documents), s.byState, r.accepted)
	}
}

func (w *world) checkDocuments(s snapshot, e expectation) {
	w.t.Helper()
	problems := 0
	for _, d := range s.documents {
		site := w.nameOf(d.target)
		complaint := d.broken()
		switch {
		case complaint != "":
		case (d.state == finalDead || d.state == finalSkipped) && !slices.Contains(e.mayDie, site):
			complaint = "was to be delivered"
		case d.state == finalDead && !w.letters[d.id]:
			complaint = "is not among the dead letters"
		}
		if complaint == "" {
			continue
		}
		if problems++; problems <= 5 {
			w.t.Errorf("%s: %s: %+v", site, complaint, d)
		}
	}
	if problems > 5 {
		w.t.Errorf("and %d more", problems-5)
	}
}

// checkArrivals: who lives saw every event, and who is said to have got one saw it.
func (w *world) checkArrivals(s snapshot, e expectation) {
	w.t.Helper()
	delivered := map[string]bool{}
	for _, d := range s.documents {
		delivered[d.id] = d.state == finalDelivered
	}
	first := map[string]map[string]time.Time{}
	for name, site := range w.sites {
		first[name], _, _ = site.saw()
	}
	missing := map[string]int{}
	for event, eventType := range w.sent {
		key := action.KeyOfEvent(action.DefaultInstance, "", action.EventID(event))
		for _, name := range w.routes[eventType] {
			site := w.sites[name]
			_, arrived := first[name][event]
			id := string(action.DeliveryOf(key, action.TargetID(site.target)))
			if !arrived && (delivered[id] || !slices.Contains(e.mayDie, name)) {
				missing[name]++
			}
		}
	}
	for name, n := range missing {
		w.t.Errorf("%s never saw %d events", name, n)
	}
}

// checkHolds: lying in a target's lane costs one write for each attempt, and one for the first time.
func (w *world) checkHolds(s snapshot) {
	w.t.Helper()
	w.inject.mu.Lock()
	defer w.inject.mu.Unlock()
	for _, d := range s.documents {
		if n := w.inject.holds[d.id]; n > d.attempts+1 {
			w.t.Errorf("%s was put into its target's lane %d times for %d attempts:\n%s", d.id, n, d.attempts, strings.Join(w.inject.history[d.id], "\n"))
		}
	}
}

func (w *world) nameOf(target string) string {
	for name, s := range w.sites {
		if s.target == target {
			return name
		}
	}
	return "?"
}

// inTime says that a target was not kept waiting by its neighbours: every event came within that time.
func (w *world) inTime(t *testing.T, name string, sent map[string]time.Time, most time.Duration) {
	t.Helper()
	first, _, _ := w.sites[name].saw()
	var worst time.Duration
	for event, at := range sent {
		worst = max(worst, first[event].Sub(at)) // what never came is somebody else's complaint
	}
	if worst > most {
		t.Errorf("an event for %s came after %v", name, worst)
	}
}
