package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/callout-dev/callout/shared/signature"
)

// bareResult is what a bare loop of signed POSTs does.
type bareResult struct {
	latencies []time.Duration
	rate      float64 // a second, with as many at once as there are senders
}

// barePosts sends signed bodies of the same size to the same receiver: what no webhook system can be faster than.
func barePosts(ctx context.Context, p plan, key string, r *receiver) (bareResult, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: p.senders}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	body := []byte(fmt.Sprintf(`{"event_type":"bench.happened","event_payload":%s}`, payload(p.payload)))
	post := func(n int) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url(), bytes.NewReader(body))
		if err != nil {
			return err
		}
		signature.Sign(request.Header, []string{key}, fmt.Sprintf("bare-%d", n), time.Now(), body)
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
	var result bareResult
	for n := range p.rate * 2 {
		start := time.Now()
		if err := post(n); err != nil {
			return result, err
		}
		result.latencies = append(result.latencies, time.Since(start))
	}
	start := time.Now()
	group, _ := errgroup.WithContext(ctx)
	for s := range p.senders {
		group.Go(func() error {
			for n := s; n < p.events; n += p.senders {
				if err := post(n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	result.rate = float64(p.events) / time.Since(start).Seconds()
	r.take(nil)
	return result, err
}

// payload is a JSON object of about so many bytes.
func payload(size int) string {
	return `{"text":"` + strings.Repeat("x", max(size-11, 0)) + `"}`
}

func event(id string, size int) string {
	return fmt.Sprintf(`{"id":%q,"event_type":"bench.happened","aggregateID":"a1","event_payload":%s}`, id, payload(size))
}

// latency sends at a fixed rate, whatever becomes of earlier events, and counts from the moment at which each was to be sent: a system
// that falls behind shows it.
func latency(ctx context.Context, p plan, c *client, r *receiver, round int) ([]time.Duration, error) {
	total := max(int(p.latencyTime.Seconds()*float64(p.rate)), 1)
	ids, planned := make([]string, total), make([]time.Time, total)
	group, groupCtx := errgroup.WithContext(ctx)
	start := time.Now().Add(10 * time.Millisecond)
	for n := range total {
		ids[n] = fmt.Sprintf("latency-%d-%d-%d", start.UnixNano(), round, n)
		planned[n] = start.Add(time.Duration(n) * time.Second / time.Duration(p.rate))
		timer := time.NewTimer(time.Until(planned[n]))
		select {
		case <-timer.C:
		case <-groupCtx.Done():
			timer.Stop()
			return nil, group.Wait()
		}
		group.Go(func() error { return c.publish(groupCtx, event(ids[n], p.payload)) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	arrived, err := r.wait(ctx, ids)
	if err != nil {
		return nil, err
	}
	latencies := make([]time.Duration, total)
	for n, id := range ids {
		latencies[n] = arrived[id].Sub(planned[n])
	}
	return latencies, nil
}

// throughput sends as fast as events are taken: how many a second, from the first publish to the last arrival.
func throughput(ctx context.Context, p plan, c *client, r *receiver, round int) (float64, error) {
	ids := make([]string, p.events)
	for n := range ids {
		ids[n] = fmt.Sprintf("rate-%d-%d-%d", time.Now().Unix(), round, n)
	}
	batches := make(chan []string)
	var senders sync.WaitGroup
	failed := make(chan error, p.senders)
	start := time.Now()
	for range p.senders {
		senders.Go(func() {
			for b := range batches {
				if err := c.publishBatch(ctx, b, p.payload); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	for from := 0; from < len(ids); from += p.batch {
		select {
		case batches <- ids[from:min(from+p.batch, len(ids))]:
		case err := <-failed:
			close(batches)
			return 0, err
		}
	}
	close(batches)
	senders.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
	}
	arrived, err := r.wait(ctx, ids)
	if err != nil {
		return 0, err
	}
	last := start
	for _, at := range arrived {
		if at.After(last) {
			last = at
		}
	}
	return float64(len(ids)) / last.Sub(start).Seconds(), nil
}
