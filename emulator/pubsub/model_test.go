package pubsub_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
)

// model plays random operations against a server and knows what it may then do.
type model struct {
	g       *ground
	rng     *rand.Rand
	ordered bool

	next  int
	held  map[int]*pubsubpb.ReceivedMessage // delivered, neither acknowledged nor refused
	until map[int]time.Time                 // end of their deadlines
	acked map[int]bool                      // for good: nothing before it of its key can fail any more
	early map[int]bool                      // acknowledged while one before it of its key was not
	all   map[int]string                    // keys of what was published
}

// before is the messages of the key of n that come before it and are not acknowledged.
func (m *model) before(n int) (open []int) {
	for i, key := range m.all {
		if i < n && key == m.all[n] && !m.acked[i] && !m.early[i] {
			open = append(open, i)
		}
	}
	return open
}

func (m *model) publish() {
	key := ""
	if m.ordered {
		key = fmt.Sprint("k", m.rng.IntN(3))
	}
	var batch []*pubsubpb.PubsubMessage
	for range 1 + m.rng.IntN(5) {
		m.next++
		m.all[m.next] = key
		batch = append(batch, keyed(key, strconv.Itoa(m.next)))
	}
	m.g.publish(batch...)
}

// pull checks each message that comes.
func (m *model) pull() int {
	received := m.g.pullNow(int32(1 + m.rng.IntN(8)))
	for _, r := range received {
		n, _ := strconv.Atoi(string(r.Message.Data))
		if m.acked[n] {
			m.g.Errorf("%d was acknowledged and comes again", n)
		}
		if until, ok := m.until[n]; ok && time.Now().Before(until) {
			m.g.Errorf("%d comes again %v before its deadline", n, time.Until(until))
		}
		if m.ordered {
			for _, i := range m.before(n) {
				if _, out := m.held[i]; !out {
					m.g.Errorf("%d of %s comes before %d", n, m.all[n], i)
				}
			}
			delete(m.early, n)
		}
		m.held[n], m.until[n] = r, time.Now().Add(10*time.Second)
	}
	return len(received)
}

// expire forgets what came so long ago that it is no longer held, and what follows it in its key.
func (m *model) expire() {
	for n, until := range m.until {
		if !time.Now().Before(until) {
			m.drop(n)
		}
	}
}

func (m *model) drop(n int) {
	delete(m.held, n)
	delete(m.until, n)
	if !m.ordered {
		return
	}
	for i, key := range m.all {
		if i > n && key == m.all[n] && !m.acked[i] {
			delete(m.held, i)
			delete(m.until, i)
			delete(m.early, i)
		}
	}
}

// some picks what is held and still counts.
func (m *model) some() (numbers []int, received []*pubsubpb.ReceivedMessage) {
	m.expire()
	for _, n := range slices.Sorted(maps.Keys(m.held)) {
		if m.rng.IntN(2) == 0 {
			numbers, received = append(numbers, n), append(received, m.held[n])
		}
	}
	return numbers, received
}

func (m *model) ack() {
	numbers, received := m.some()
	if len(numbers) == 0 {
		return
	}
	m.g.ack(received...)
	for _, n := range numbers {
		delete(m.held, n)
		delete(m.until, n)
		m.early[n] = true
	}
	for n := range m.early {
		if !m.ordered || len(m.before(n)) == 0 {
			m.acked[n] = true
		}
	}
	for n := range m.acked {
		delete(m.early, n)
	}
}

func (m *model) nack() {
	numbers, received := m.some()
	if len(numbers) == 0 {
		return
	}
	m.g.nack(received...)
	for _, n := range numbers {
		m.drop(n)
	}
}

// restart closes the server cleanly and opens it again; what was out comes back at once.
func (m *model) restart(o pubsub.Options) {
	m.g.stop()
	m.g = start(m.g.T, m.g.store, o)
	m.held, m.until, m.early = map[int]*pubsubpb.ReceivedMessage{}, map[int]time.Time{}, map[int]bool{}
}

// Whatever clients do, in whatever order: nothing is lost, nothing acknowledged comes again, nothing comes before its deadline, keys keep
// their order, and in the end the store is empty. CALLOUT_SEEDS=300 makes it the full test.
func TestRandomOperations(t *testing.T) {
	seeds := uint64(6)
	if n, err := strconv.ParseUint(os.Getenv("CALLOUT_SEEDS"), 10, 64); err == nil {
		seeds = n
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, err := storage.Open(storage.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				conf := &pubsubpb.Subscription{EnableMessageOrdering: seed%2 == 1}
				if seed%3 == 2 {
					conf.RetryPolicy = &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(time.Second)}
				}
				m := &model{
					rng: rand.New(rand.NewPCG(seed, 7)), ordered: conf.EnableMessageOrdering, held: map[int]*pubsubpb.ReceivedMessage{},
					until: map[int]time.Time{}, acked: map[int]bool{}, early: map[int]bool{}, all: map[int]string{},
				}
				m.g = start(t, store, pubsub.Options{})
				m.g.subscribe(conf)
				for range 300 {
					switch m.rng.IntN(12) {
					case 0, 1, 2:
						m.publish()
					case 3, 4, 5:
						m.expire()
						m.pull()
					case 6, 7, 8:
						m.ack()
					case 9:
						m.nack()
					case 10:
						time.Sleep(time.Duration(m.rng.IntN(8000)) * time.Millisecond)
					case 11:
						if m.rng.IntN(4) == 0 {
							m.restart(pubsub.Options{})
						}
					}
				}
				for range 10_000 {
					if len(m.acked) == len(m.all) {
						break
					}
					m.expire()
					if m.pull() == 0 {
						time.Sleep(time.Second)
					}
					m.ack()
				}
				if len(m.acked) != len(m.all) {
					t.Errorf("%d of %d messages could be acknowledged", len(m.acked), len(m.all))
				}
				time.Sleep(2 * time.Minute)
				if n := m.g.stored(); n != 0 {
					t.Errorf("%d messages are stored in the end", n)
				}
				m.g.stop()
			})
		})
	}
}
