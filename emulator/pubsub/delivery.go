package pubsub

import (
	"container/heap"
	"time"
)

// state says where a message that a subscription has taken up stands.
type state uint8

const (
	held    state = iota // an earlier message of its ordering key comes first
	ready                // waits for somebody to take it
	out                  // handed out, not acknowledged
	waiting              // failed; comes back when it is due
	moving               // on its way to the dead-letter topic
	acked                // acknowledged, but an earlier message of its key is not
	settled              // done with
)

// delivery is one message of one subscription between being taken up and being done with.
type delivery struct {
	seq    seq
	size   int
	failed int       // how often it was refused or its deadline passed
	turn   uint64    // the last handing out
	due    time.Time // end of the deadline while out, of the back-off while waiting
	at     int       // place in the schedule, -1 if it is not there
	state  state
	msg    *message  // nil: on disk alone
	holder *consumer // while out
	lane   *lane     // of its ordering key; nil without
	number uint64    // for a hostile server: its place among all messages
}

// queue is a first-in-first-out of deliveries.
type queue struct {
	items []*delivery
	head  int
}

func (q *queue) len() int          { return len(q.items) - q.head }
func (q *queue) front() *delivery  { return q.items[q.head] }
func (q *queue) push(d *delivery)  { q.items = append(q.items, d) }
func (q *queue) rest() []*delivery { return q.items[q.head:] }

func (q *queue) pop() *delivery {
	d := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	} else if q.head > 512 && q.head > len(q.items)/2 {
		q.items = append(q.items[:0], q.items[q.head:]...)
		clear(q.items[len(q.items):cap(q.items)])
		q.head = 0
	}
	return d
}

// keep drops all that f refuses.
func (q *queue) keep(f func(*delivery) bool) {
	kept := make([]*delivery, 0, q.len())
	for _, d := range q.rest() {
		if f(d) {
			kept = append(kept, d)
		}
	}
	q.items, q.head = kept, 0
}

// schedule is a heap of deliveries by due time.
type schedule []*delivery

func (h schedule) Len() int           { return len(h) }
func (h schedule) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h schedule) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].at = i; h[j].at = j }
func (h *schedule) Push(x any)        { d := x.(*delivery); d.at = len(*h); *h = append(*h, d) }
func (h *schedule) Pop() any {
	old := *h
	d := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	d.at = -1
	return d
}

// schedule puts d where its due time belongs.
func (s *subscription) schedule(d *delivery) {
	if d.at >= 0 {
		heap.Fix(&s.timed, d.at)
		return
	}
	heap.Push(&s.timed, d)
}

func (s *subscription) unschedule(d *delivery) {
	if d.at >= 0 {
		heap.Remove(&s.timed, d.at)
	}
}

// setAlarm arranges to be woken when the first of the schedule is due.
func (s *subscription) setAlarm() {
	if len(s.timed) == 0 || s.gone {
		return
	}
	first := s.timed[0].due
	if !s.alarmAt.IsZero() && !first.Before(s.alarmAt) {
		return // the alarm that is set comes early enough, and sets the next
	}
	s.alarmAt = first
	wait := max(time.Until(first), 0)
	if s.alarm == nil {
		s.alarm = time.AfterFunc(wait, s.ring)
	} else {
		s.alarm.Reset(wait)
	}
}

// ring deals with all that is due.
func (s *subscription) ring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	s.alarmAt = time.Time{}
	now := time.Now()
	for len(s.timed) > 0 && !s.timed[0].due.After(now) {
		d := heap.Pop(&s.timed).(*delivery)
		if d.state == out {
			s.fail(d)
		} else if d.state == waiting {
			s.comeBack(d)
		}
	}
	s.pump()
}

// comeBack ends the back-off of d.
func (s *subscription) comeBack(d *delivery) {
	if d.lane == nil {
		s.makeReady(d)
		return
	}
	d.state = held
	s.advance(d.lane)
}
