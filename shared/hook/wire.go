package hook

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/oauth2"
	"google.golang.org/protobuf/proto"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
)

// wire asks function invoke in Connect's unary protocol, with binary messages. The way of every hook, a question and a good answer, it goes
// itself: that costs a third of what a client of Connect's costs (BenchmarkInvoke). Whatever else comes back is Connect's to understand, so
// errors are the same.
type wire struct {
	client *http.Client
	tokens oauth2.TokenSource
	url    string // of the installation
}

const (
	typeProto = "application/proto"
	// maxAnswer is how many bytes an answer may have: a message is of MaxMessage at most, and what stands around it is small.
	maxAnswer = 2 * MaxMessage
)

// invoke asks once. The error is a *connect.Error.
func (w *wire) invoke(ctx context.Context, m *calloutv1.InvokeRequest) (*calloutv1.InvokeResponse, error) {
	response, err := w.post(ctx, m)
	if err != nil {
		return w.understand(ctx, m, nil, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && response.StatusCode == http.StatusOK && response.Header.Get("Content-Type") == typeProto && len(body) <= maxAnswer {
		answer := &calloutv1.InvokeResponse{}
		if proto.Unmarshal(body, answer) == nil {
			return answer, nil
		}
	}
	response.Body = io.NopCloser(&ending{bytes.NewReader(body), err})
	return w.understand(ctx, m, response, nil)
}

func (w *wire) post(ctx context.Context, m *calloutv1.InvokeRequest) (*http.Response, error) {
	body, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	token, err := w.tokens.Token()
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+calloutv1connect.HookServiceInvokeProcedure, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	token.SetAuthHeader(r)
	r.Header.Set("Content-Type", typeProto)
	r.Header.Set("Connect-Protocol-Version", "1")
	if end, ok := ctx.Deadline(); ok {
		r.Header.Set("Connect-Timeout-Ms", strconv.FormatInt(max(time.Until(end).Milliseconds(), 0), 10))
	}
	return w.client.Do(r)
}

// understand lets Connect say what an answer or an error means that is here already.
func (w *wire) understand(ctx context.Context, m *calloutv1.InvokeRequest, response *http.Response, err error) (*calloutv1.InvokeResponse, error) {
	return calloutv1connect.NewHookServiceClient(arrived{response, err}, w.url, connect.WithReadMaxBytes(maxAnswer)).Invoke(ctx, m)
}

// arrived is a client whose answer is known.
type arrived struct {
	response *http.Response
	err      error
}

func (a arrived) Do(*http.Request) (*http.Response, error) { return a.response, a.err }

// ending reads what there is, and then fails as the reading of it did.
type ending struct {
	rest *bytes.Reader
	err  error
}

func (e *ending) Read(p []byte) (int, error) {
	if e.rest.Len() == 0 && e.err != nil {
		return 0, e.err
	}
	return e.rest.Read(p)
}
