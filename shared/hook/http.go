package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
)

// Handler runs the executions of requests whose bodies are JSON, or empty, and of their answers. Requests for which Method has no name pass.
// Any other body than JSON is refused: targets could not see it.
func (h *Host) Handler(next http.Handler) http.Handler {
	method := h.Method
	if method == nil {
		method = procedure
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := method(r)
		if name == "" {
			next.ServeHTTP(w, r)
			return
		}
		headers := r.Header.Clone()
		headers.Set("Host", r.Host)
		c := h.call(r.Context(), name, headers)
		asked, err := readMessage(w, r)
		if err == nil {
			asked, err = c.request(r.Context(), asked)
		}
		if err != nil {
			writeError(w, err)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(asked)), int64(len(asked))
		r.Header.Del("Content-Length")
		answer := &recorder{header: http.Header{}}
		next.ServeHTTP(answer, r)
		if err := answer.hook(c, r, asked); err != nil {
			writeError(w, err)
			return
		}
		answer.send(w)
	})
}

// procedure is the method that a Connect or gRPC path names.
func procedure(r *http.Request) string {
	service, method, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !ok || method == "" || strings.Contains(method, "/") || !strings.Contains(service, ".") {
		return ""
	}
	return r.URL.Path
}

// readMessage is the body of a request, {} for an empty one.
func readMessage(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxMessage))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, connect.NewError(connect.CodeResourceExhausted, errors.New("the body is too large to be checked"))
	}
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("the body could not be read"))
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return []byte("{}"), nil
	}
	if !isJSON(r.Header.Get("Content-Type")) || !json.Valid(body) {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("the body must be JSON"))
	}
	return body, nil
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// recorder keeps an answer until the hooks have seen it.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *recorder) Header() http.Header { return a.header }

func (a *recorder) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

func (a *recorder) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// hook runs the execution of an answer that is good, and JSON; a handler that failed has none (actions-v2.md section 5.2).
func (a *recorder) hook(c call, r *http.Request, asked []byte) error {
	a.WriteHeader(http.StatusOK)
	if a.status >= 300 || a.body.Len() == 0 || !isJSON(a.header.Get("Content-Type")) {
		return nil
	}
	changed, err := c.response(r.Context(), asked, a.body.Bytes())
	if err != nil {
		return err
	}
	if !bytes.Equal(changed, a.body.Bytes()) {
		a.body = *bytes.NewBuffer(changed)
		a.header.Del("ETag")
		a.header.Set("Content-Length", strconv.Itoa(len(changed)))
	}
	return nil
}

func (a *recorder) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // who does not read on has gone
}

// writeError tells a caller of an error, in the shape that Callout's REST API has: code, message and details.
func writeError(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*connect.Error](err)
	if !ok {
		e = errEngine()
	}
	body := struct {
		Code    codes.Code        `json:"code"`
		Message string            `json:"message"`
		Details []json.RawMessage `json:"details"`
	}{codes.Code(e.Code()), e.Message(), []json.RawMessage{}}
	for _, d := range e.Details() {
		if text, err := protojson.Marshal(&anypb.Any{TypeUrl: "type.googleapis.com/" + d.Type(), Value: d.Bytes()}); err == nil {
			body.Details = append(body.Details, text)
		}
	}
	text, _ := json.Marshal(body) // numbers, texts and JSON always can be
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(statusOf(e.Code()))
	_, _ = w.Write(text)
}

// statusOf maps codes as the REST API does.
func statusOf(code connect.Code) int {
	switch code {
	case connect.CodeInvalidArgument, connect.CodeFailedPrecondition, connect.CodeOutOfRange:
		return http.StatusBadRequest
	case connect.CodeUnauthenticated:
		return http.StatusUnauthorized
	case connect.CodePermissionDenied:
		return http.StatusForbidden
	case connect.CodeNotFound:
		return http.StatusNotFound
	case connect.CodeAlreadyExists, connect.CodeAborted:
		return http.StatusConflict
	case connect.CodeResourceExhausted:
		return http.StatusTooManyRequests
	case connect.CodeCanceled:
		return 499
	case connect.CodeUnimplemented:
		return http.StatusNotImplemented
	case connect.CodeUnavailable:
		return http.StatusServiceUnavailable
	case connect.CodeDeadlineExceeded:
		return http.StatusGatewayTimeout
	default:
		return http.StatusInternalServerError
	}
}
