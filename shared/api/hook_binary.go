package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// binaryFace answers Connect's unary calls of Invoke with binary messages, which are those of package hook, at a third of what Connect's
// handler costs (BenchmarkInvoke). Whatever is not as usual, it leaves to that handler.
type binaryFace struct {
	*hookFace
	connect http.Handler
}

const typeProto = "application/proto"

// ServeHTTP is the RPC.
func (f *binaryFace) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	timeout, usual := usualCall(r.Header)
	if !usual {
		f.connect.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	var request calloutv1.InvokeRequest
	if err != nil || len(body) > MaxBody || proto.Unmarshal(body, &request) != nil {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body} // a body that broke off breaks off again
		f.connect.ServeHTTP(w, r)
		return
	}
	ctx, cancel := r.Context(), context.CancelFunc(func() {})
	if timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, timeout)
	}
	defer cancel()
	answer, err := f.respond(ctx, &request)
	if err != nil {
		logFault(ctx, f.border.Log, err)
		_ = connect.NewErrorWriter().Write(w, r, toConnect(err))
		return
	}
	w.Header().Set("Content-Type", typeProto)
	_, _ = w.Write(answer) // who does not read on has gone
}

func (f *binaryFace) respond(ctx context.Context, r *calloutv1.InvokeRequest) ([]byte, error) {
	answer, err := f.Invoke(ctx, r)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(answer)
}

// usualCall says whether the headers are those of a plain call, and how long its caller waits, 0 for as long as it takes.
func usualCall(h http.Header) (timeout time.Duration, usual bool) {
	if h.Get("Content-Type") != typeProto || h.Get("Content-Encoding") != "" || h.Get("Connect-Protocol-Version") != "1" {
		return 0, false
	}
	text := h.Get("Connect-Timeout-Ms")
	if text == "" {
		return 0, true
	}
	ms, err := strconv.ParseUint(text, 10, 32) // 49 days: who waits for longer is no usual caller
	return time.Duration(ms) * time.Millisecond, err == nil && ms > 0
}
