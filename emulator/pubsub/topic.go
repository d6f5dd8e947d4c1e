package pubsub

import (
	"slices"
	"sync"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/proto"

	"github.com/callout-dev/callout/emulator/storage"
)

// topic is a log of messages and those who read it. One that was deleted lives on, without a name, while subscriptions still have messages
// of it.
type topic struct {
	id   id
	name topicName

	mu      sync.Mutex
	conf    *pubsubpb.Topic // replaced, never changed
	deleted bool
	subs    []*subscription // replaced, never changed
	holds   int             // subscriptions and snapshots, from the moment they are staged: while there are none, messages are not kept
	low     seq             // no message up to here is stored
	newest  seq             // nor any after this

	snapshots []*snapshot // replaced, never changed
}

func (t *topic) config() *pubsubpb.Topic {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.conf
}

func (t *topic) subscriptions() []*subscription {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.subs
}

func (t *topic) attach(s *subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.subs = append(slices.Clip(t.subs), s)
}

func (t *topic) detach(s *subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.subs = slices.DeleteFunc(slices.Clone(t.subs), func(o *subscription) bool { return o == s })
	t.holds--
}

func (t *topic) hold(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.holds += n
}

// accepts says whether messages may be published, and whether anybody could ever read them.
func (t *topic) accepts() (open, kept bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.deleted, t.holds > 0 || t.conf.GetMessageRetentionDuration() != nil
}

// record is the topic as it is stored.
func (t *topic) record(conf *pubsubpb.Topic) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend(appendUint64(nil, uint64(t.id)), conf)
}

// publication is messages on their way into the journal, in one request or out of a subscription into its dead-letter topic.
type publication struct {
	topic    *topic
	pbs      []*pubsubpb.PubsubMessage
	encoded  [][]byte
	messages []*message // filled by stage
}

// prepare does what need not be done on the journal's goroutine.
func prepare(t *topic, pbs []*pubsubpb.PubsubMessage) (*publication, error) {
	p := &publication{topic: t, pbs: pbs, encoded: make([][]byte, len(pbs)), messages: make([]*message, 0, len(pbs))}
	for i, pb := range pbs {
		var err error
		if p.encoded[i], err = encodeMessage(pb); err != nil {
			return nil, invalid("messages", "cannot be encoded: %v", err)
		}
	}
	return p, nil
}

func (p *publication) stage(j *journal, b *storage.Batch) error {
	open, kept := p.topic.accepts()
	if !open {
		return notFound(string(p.topic.name))
	}
	if kept {
		defer p.topic.grew(j)
	}
	for i, pb := range p.pbs {
		n, at := j.stamp()
		p.messages = append(p.messages, newMessage(n, at, pb))
		if kept {
			putUint64(p.encoded[i], uint64(at.UnixNano()))
			b.Set(seqKey(kindMessage, p.topic.id, n), p.encoded[i])
		}
	}
	p.encoded = nil
	return nil
}

// grew notes the last message that was staged.
func (t *topic) grew(j *journal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.newest = j.highest
}

// deliver gives the messages to the subscriptions; it is called once they are durable, in the order of the journal.
func (p *publication) deliver() {
	for _, s := range p.topic.subscriptions() {
		s.offer(p.messages)
	}
}
