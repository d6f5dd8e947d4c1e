package feed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Import sends the events of a file, in their order.
type Import struct {
	Client *Client
	// KeepGoing goes on after a line that is refused; else what stood before it is sent and the rest is not.
	KeepGoing bool
	// Refused is told of each line that was refused, in order.
	Refused func(line int, message string)
	// Progress is told how many bytes of the file are done with. It may be nil.
	Progress func(read int64)
	// MaxEvents and MaxBytes bound a request; 0 is the API's own limit.
	MaxEvents, MaxBytes int

	pending []Event
	bytes   int // of pending
	ended   bool
	// size is how many events are tried at once: the API names one bad event at a time, so it is halved by each and doubles while all
	// goes well. A file of bad events costs as much as a good one.
	size int
}

// Result counts lines.
type Result struct{ Accepted, Refused int }

// Run sends everything. The result says how far it came also where there is an error.
func (i *Import) Run(ctx context.Context, r *Reader) (Result, error) {
	if i.MaxEvents == 0 {
		i.MaxEvents = MaxEvents
	}
	if i.MaxBytes == 0 {
		i.MaxBytes = MaxBytes
	}
	i.size = i.MaxEvents
	var result Result
	for {
		if err := i.fill(r); err != nil {
			return result, err
		}
		if len(i.pending) == 0 {
			return result, nil
		}
		bad := i.pending[0].Problem
		if bad == "" {
			var accepted int
			var err error
			if accepted, bad, err = i.send(ctx); err != nil {
				return result, err
			}
			result.Accepted += accepted
			i.drop(accepted)
		}
		if bad == "" {
			continue
		}
		result.Refused++
		i.Refused(i.pending[0].Line, bad)
		i.drop(1)
		if !i.KeepGoing {
			return result, nil
		}
	}
}

// fill reads as much as a request can take.
func (i *Import) fill(r *Reader) error {
	for !i.ended && len(i.pending) < i.MaxEvents && i.bytes < i.MaxBytes {
		event, err := r.Next()
		if errors.Is(err, io.EOF) {
			i.ended = true
			return nil
		}
		if err != nil {
			return err
		}
		i.pending = append(i.pending, event)
		i.bytes += len(event.json)
	}
	return nil
}

// drop takes the first n off: they are done with.
func (i *Import) drop(n int) {
	for _, event := range i.pending[:n] {
		i.bytes -= len(event.json)
		if i.Progress != nil {
			i.Progress(event.Read)
		}
	}
	i.pending = append([]Event(nil), i.pending[n:]...)
}

// send tries the first of what is pending: how many were accepted, and then, if the next one was refused, why.
func (i *Import) send(ctx context.Context) (accepted int, bad string, err error) {
	count, body := i.request(i.size)
	for smaller := false; ; smaller = true {
		err := i.post(ctx, count, body)
		if err == nil {
			if !smaller {
				i.size = min(i.size*2, i.MaxEvents)
			}
			return count, bad, nil
		}
		refusal, ok := errors.AsType[*Refusal](err)
		if !ok || !refusal.aboutEvents() {
			return 0, "", err
		}
		index, message, named := refusal.Index()
		i.size = max(1, count/2)
		switch {
		case named && index == 0:
			return 0, message, nil
		case count == 1:
			return 0, refusal.Message, nil
		case named && index < count: // those before it are good
			bad = message
			count, body = i.request(index)
		default: // something is wrong, and only smaller requests can say with what
			bad = ""
			count, body = i.request(i.size)
		}
	}
}

// request writes the first events of pending that go together into one: at most this many, of one form.
func (i *Import) request(most int) (count int, body []byte) {
	f := i.pending[0].form
	var out bytes.Buffer
	out.WriteString(f.open)
	for _, event := range i.pending {
		fits := out.Len()+len(",")+len(event.json)+len(f.end) <= i.MaxBytes
		if count == most || event.Problem != "" || event.form != f || count > 0 && !fits {
			break
		}
		if count > 0 {
			out.WriteByte(',')
		}
		out.Write(event.json)
		count++
	}
	out.WriteString(f.end)
	return count, out.Bytes()
}

func (i *Import) post(ctx context.Context, count int, body []byte) error {
	ids, err := i.Client.Publish(ctx, i.pending[0].form.contentType, body, "")
	if err == nil && len(ids) != count {
		return fmt.Errorf("publish: %d events were sent and %d accepted", count, len(ids))
	}
	return err
}
