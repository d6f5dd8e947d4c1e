package pubsub

import "slices"

// laneBodies is how many messages of one ordering key keep their bodies in memory while they wait for the ones before.
const laneBodies = 16

// lane is the messages of one ordering key, in the order of their publishing. While some are out, only the consumer that has them may get
// the following; an acknowledged message stays until all before it are, because a failure brings back all after it.
type lane struct {
	key    string
	items  []*delivery
	next   int // items before it were handed out
	out    int // how many are out now
	holder *consumer
}

func (l *lane) handed(c *consumer) {
	l.next++
	l.out++
	l.holder = c
}

// join puts d at the end of its key's lane.
func (s *subscription) join(d *delivery, key string) {
	l := s.lanes[key]
	if l == nil {
		l = &lane{key: key}
		s.lanes[key] = l
	}
	d.lane = l
	l.items = append(l.items, d)
	s.advance(l)
	if d.state == held && len(l.items)-l.next > laneBodies {
		s.forgetBody(d) // one busy key must not fill the memory that all share
	}
}

// advance makes the next messages of a lane available if the ones before them allow that.
func (s *subscription) advance(l *lane) {
	if len(l.items) == 0 {
		delete(s.lanes, l.key)
		return
	}
	for l.next < len(l.items) && !s.gone {
		d := l.items[l.next]
		switch {
		case d.state != held:
			return
		case l.out == 0:
			s.makeReady(d)
			return
		case !l.holder.many || !l.holder.room():
			return
		}
		s.give(d, l.holder)
	}
}

// finishOrdered takes the acknowledgement of d, and settles what is now acknowledged without a gap.
func (s *subscription) finishOrdered(d *delivery) {
	l := d.lane
	if d.state == out {
		l.out--
	}
	d.state = acked
	n := 0
	for n < len(l.items) && l.items[n].state == acked {
		s.settle(l.items[n])
		n++
	}
	l.items = slices.Delete(l.items, 0, n)
	l.next = max(0, l.next-n)
	s.advance(l)
}

// rewind makes d the next of its lane again and takes back everything after it, acknowledged or not.
func (s *subscription) rewind(d *delivery) {
	l := d.lane
	i := slices.Index(l.items, d)
	for _, later := range l.items[i+1 : max(l.next, i+1)] {
		if later.state == out {
			s.release(later)
			l.out--
		}
		later.state = held
	}
	l.next = i
}
