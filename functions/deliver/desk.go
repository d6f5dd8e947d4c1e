package deliver

import "context"

// places is how many deliveries are worked on at once, their calls left aside. More would only make calls wait for a processor, and a target
// look slow that is not.
const places = 32

// desk has a place for each delivery that keeps this process busy, and not its target.
type desk chan struct{}

func (d desk) take(ctx context.Context) error {
	select {
	case d <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave gives a place back, if one is taken: also when a panic came between.
func (d desk) leave() {
	select {
	case <-d:
	default:
	}
}
