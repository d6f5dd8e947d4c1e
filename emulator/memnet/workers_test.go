package memnet_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/emulator/memnet"
)

func TestWorkersRunEveryJobAndEnd(t *testing.T) {
	synctest.Test(t, func(*testing.T) { // the bubble ends only when all workers have
		w := memnet.NewWorkers()
		defer w.Close()
		var ran atomic.Int64
		var all sync.WaitGroup
		for i := range 1000 {
			all.Add(1)
			w.Go(func() {
				defer all.Done()
				time.Sleep(time.Duration(i%7) * time.Millisecond)
				ran.Add(1)
			})
			if i%10 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		all.Wait()
		if n := ran.Load(); n != 1000 {
			t.Errorf("%d jobs ran", n)
		}
	})
}

// TestJobsDoNotWaitForEachOther: one that hangs holds up itself alone.
func TestJobsDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		w := memnet.NewWorkers()
		defer w.Close()
		hang := make(chan struct{})
		w.Go(func() { <-hang })
		done := make(chan struct{})
		w.Go(func() { w.Go(func() { close(done) }) })
		<-done
		close(hang)
	})
}
