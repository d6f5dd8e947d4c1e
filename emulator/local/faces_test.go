package local_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/callout-dev/callout/shared/gen/zitadel/action/v2beta" // registered, for requests to be made of JSON
)

// said is an answer of the Action API in the form that all protocols share: the code, and the message as JSON, which of an error is as the
// protocol tells it.
type said struct {
	code   codes.Code
	status int // over HTTP; 200 for gRPC
	json   string
	header http.Header // of an error, with its trailers
}

// outcome is what a caller learns, the same in every protocol.
type outcome struct {
	Code        codes.Code
	Message, ID string
}

func (s said) outcome(t *testing.T) outcome {
	t.Helper()
	var e struct {
		Message string
		Details []struct {
			ID    string
			Debug struct{ ID string } // Connect's
		}
	}
	if err := json.Unmarshal([]byte(s.json), &e); err != nil {
		t.Fatalf("%s: %v", s.json, err)
	}
	if s.code == codes.OK {
		return outcome{}
	}
	o := outcome{Code: s.code, Message: e.Message}
	for _, d := range e.Details {
		o.ID = d.ID + d.Debug.ID
	}
	return o
}

// header goes with a request over any protocol; Host among it is the host that it names.
type header map[string]string

// bearer is the header of a token; none for "".
func bearer(token string) header {
	if token == "" {
		return nil
	}
	return header{"authorization": "Bearer " + token}
}

// face is one version of a service over one protocol. A method is called with the JSON of its request.
type face struct {
	protocol, version string
	send              func(t *testing.T, h header, method, request string) said
}

func (f face) call(t *testing.T, token, method, request string) said {
	t.Helper()
	return f.send(t, bearer(token), method, request)
}

func (f face) String() string { return f.version + " over " + f.protocol }

// serves says whether this version has the method.
func (f face) serves(method string) bool {
	return f.version == "v2" || !strings.Contains(method, "PublicKey")
}

// do calls a method that must succeed.
func (f face) do(t *testing.T, token, method, request string) map[string]any {
	t.Helper()
	answer := f.call(t, token, method, request)
	if answer.code != codes.OK {
		t.Fatalf("%s: %s %s: %s", f, method, request, answer.json)
	}
	return answer.fields(t)
}

func (s said) fields(t *testing.T) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(s.json), &fields); err != nil {
		t.Fatalf("%s: %v", s.json, err)
	}
	return fields
}

// faces are all versions of the Action API over all protocols.
func (i *installation) faces(t *testing.T) []face {
	t.Helper()
	var all []face
	for _, version := range []string{"v2", "v2beta"} {
		all = append(all, face{"REST", version, func(t *testing.T, h header, method, request string) said {
			return i.overREST(t, version, h, method, request)
		}})
		all = append(all, i.procedures(t, "zitadel.action."+version+".ActionService", version)...)
	}
	return all
}

// procedures are a service over all protocols but REST.
func (i *installation) procedures(t *testing.T, service, version string) []face {
	t.Helper()
	conn := i.grpcConn(t)
	return []face{
		{"Connect", version, func(t *testing.T, h header, method, request string) said {
			return i.overConnect(t, service, h, method, request)
		}},
		{"Connect proto", version, func(t *testing.T, h header, method, request string) said {
			return i.overConnectProto(t, service, h, method, request)
		}},
		{"gRPC", version, func(t *testing.T, h header, method, request string) said {
			return overGRPC(t, conn, service, h, method, request)
		}},
		{"gRPC-Web", version, func(t *testing.T, h header, method, request string) said {
			return i.overWeb(t, service, h, method, request)
		}},
	}
}

// routes are the REST paths (actions-v2.md section 1.1).
var routes = map[string]string{
	"CreateTarget": "POST targets", "UpdateTarget": "POST targets/{id}", "DeleteTarget": "DELETE targets/{id}", "GetTarget": "GET targets/{id}",
	"ListTargets":  "POST targets/search",
	"AddPublicKey": "POST targets/{targetId}/publickeys", "ActivatePublicKey": "POST targets/{targetId}/publickeys/{keyId}/activate",
	"DeactivatePublicKey": "POST targets/{targetId}/publickeys/{keyId}/deactivate", "RemovePublicKey": "DELETE targets/{targetId}/publickeys/{keyId}",
	"ListPublicKeys": "POST targets/{targetId}/publickeys/search",
	"SetExecution":   "PUT executions", "ListExecutions": "POST executions/search", "ListExecutionFunctions": "GET executions/functions",
	"ListExecutionMethods": "GET executions/methods", "ListExecutionServices": "GET executions/services",
}

func (i *installation) overREST(t *testing.T, version string, h header, method, request string) said {
	t.Helper()
	verb, path, _ := strings.Cut(routes[method], " ")
	var fields map[string]any
	if err := json.Unmarshal([]byte(request), &fields); err != nil {
		t.Fatal(request, err)
	}
	for _, name := range []string{"id", "targetId", "keyId"} {
		if value, ok := fields[name].(string); ok && strings.Contains(path, "{"+name+"}") {
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
			delete(fields, name)
		}
	}
	var body []byte
	switch {
	case len(fields) == 0:
	case verb == http.MethodGet || verb == http.MethodDelete:
		query := url.Values{}
		for name, value := range fields {
			query.Set(name, fmt.Sprint(value))
		}
		path += "?" + query.Encode()
	default:
		body, _ = json.Marshal(fields)
	}
	response, answer := i.post(t, verb, "/"+version+"/actions/"+path, h, "application/json", body)
	return saidByREST(t, response, answer)
}

// saidByREST reads an answer of the gateway.
func saidByREST(t *testing.T, response *http.Response, answer []byte) said {
	t.Helper()
	var refusal struct{ Code codes.Code }
	if response.StatusCode >= http.StatusMultipleChoices {
		if err := json.Unmarshal(answer, &refusal); err != nil || refusal.Code == 0 {
			t.Fatalf("%s: %d %s", response.Request.URL.Path, response.StatusCode, answer)
		}
	}
	return said{refusal.Code, response.StatusCode, compact(t, answer), response.Header}
}

func (i *installation) overConnect(t *testing.T, service string, h header, method, request string) said {
	t.Helper()
	response, answer := i.post(t, http.MethodPost, "/"+service+"/"+method, h, "application/json", []byte(request))
	if response.StatusCode == http.StatusOK {
		return said{codes.OK, 200, compact(t, answer), nil}
	}
	return saidByConnect(t, response, answer)
}

// overConnectProto sends binary messages; errors are JSON all the same.
func (i *installation) overConnectProto(t *testing.T, service string, h header, method, request string) said {
	t.Helper()
	in, out := messages(t, service, method, request)
	wire, err := proto.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	response, answer := i.post(t, http.MethodPost, "/"+service+"/"+method, h, "application/proto", wire)
	if response.StatusCode != http.StatusOK {
		return saidByConnect(t, response, answer)
	}
	if err := proto.Unmarshal(answer, out); err != nil {
		t.Fatal(err)
	}
	return saidMessage(t, out)
}

// saidByConnect reads an error of Connect.
func saidByConnect(t *testing.T, response *http.Response, answer []byte) said {
	t.Helper()
	var refusal struct{ Code string }
	var code codes.Code
	if err := json.Unmarshal(answer, &refusal); err != nil || code.UnmarshalJSON([]byte(strconv.Quote(strings.ToUpper(refusal.Code)))) != nil {
		t.Fatalf("%s: %d %s", response.Request.URL.Path, response.StatusCode, answer)
	}
	return said{code, response.StatusCode, compact(t, answer), response.Header}
}

func overGRPC(t *testing.T, conn *grpc.ClientConn, service string, h header, method, request string) said {
	t.Helper()
	in, out := messages(t, service, method, request)
	var trailer metadata.MD
	if err := conn.Invoke(h.outgoing(t.Context()), "/"+service+"/"+method, in, out, grpc.Trailer(&trailer)); err != nil {
		header := http.Header{}
		for name, values := range trailer {
			header[http.CanonicalHeaderKey(name)] = values
		}
		return saidStatus(t, status.Convert(err).Proto(), header)
	}
	return saidMessage(t, out)
}

// outgoing is a context of gRPC's with the header.
func (h header) outgoing(ctx context.Context) context.Context {
	return metadata.NewOutgoingContext(ctx, metadata.New(h))
}

// overWeb speaks gRPC-Web by hand: one frame of a message, and one of trailers.
func (i *installation) overWeb(t *testing.T, service string, h header, method, request string) said {
	t.Helper()
	in, out := messages(t, service, method, request)
	wire, err := proto.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(wire))), wire...)
	response, answer := i.post(t, http.MethodPost, "/"+service+"/"+method, h, "application/grpc-web+proto", frame)
	trailers := response.Header.Clone()
	for len(answer) >= 5 {
		flag, length := answer[0], binary.BigEndian.Uint32(answer[1:5])
		body := answer[5 : 5+length]
		answer = answer[5+length:]
		if flag&0x80 == 0 {
			if err := proto.Unmarshal(body, out); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for line := range strings.SplitSeq(strings.TrimSpace(string(body)), "\r\n") {
			name, value, _ := strings.Cut(line, ":")
			trailers.Set(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	if trailers.Get("Grpc-Status") == "0" {
		return saidMessage(t, out)
	}
	s := &spb.Status{}
	if details := trailers.Get("Grpc-Status-Details-Bin"); details != "" {
		raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(details, "="))
		if err != nil || proto.Unmarshal(raw, s) != nil {
			t.Fatalf("details %q, %v", details, err)
		}
	}
	code, err := strconv.Atoi(trailers.Get("Grpc-Status"))
	message, unescape := url.PathUnescape(trailers.Get("Grpc-Message"))
	if err != nil || unescape != nil {
		t.Fatalf("%s: %d %v", method, response.StatusCode, trailers)
	}
	s.Code, s.Message = int32(code), message
	return saidStatus(t, s, trailers)
}

func saidStatus(t *testing.T, s *spb.Status, header http.Header) said {
	t.Helper()
	return said{codes.Code(s.GetCode()), 200, asJSON(t, s), header}
}

func saidMessage(t *testing.T, m proto.Message) said {
	t.Helper()
	return said{codes.OK, 200, asJSON(t, m), nil}
}

func asJSON(t *testing.T, m proto.Message) string {
	t.Helper()
	text, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return compact(t, text)
}

func compact(t *testing.T, text []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out.String()
}

// messages makes a method's request from its JSON, and an empty answer.
func messages(t *testing.T, service, method, request string) (in, out proto.Message) {
	t.Helper()
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		t.Fatal(err)
	}
	m := found.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(method))
	for to, name := range map[*proto.Message]protoreflect.FullName{&in: m.Input().FullName(), &out: m.Output().FullName()} {
		kind, err := protoregistry.GlobalTypes.FindMessageByName(name)
		if err != nil {
			t.Fatal(err)
		}
		*to = kind.New().Interface()
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(request), in); err != nil {
		t.Fatalf("%s %s: %v", method, request, err)
	}
	if strings.Contains(request, notAField) {
		addUnknown(in.ProtoReflect())
	}
	return in, out
}

// notAField is a field that no message has. Where the JSON of a request has it anywhere, each message of the binary request has one too.
const notAField = "notAField"

func addUnknown(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Message() == nil || field.IsMap():
		case field.IsList():
			for n := range value.List().Len() {
				addUnknown(value.List().Get(n).Message())
			}
		default:
			addUnknown(value.Message())
		}
		return true
	})
	m.SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 9999, protowire.BytesType), "x"))
}

// post sends a request of any verb.
func (i *installation) post(t *testing.T, verb, path string, h header, contentType string, body []byte) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), verb, i.Info.API+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	for name, value := range h {
		request.Header.Set(name, value)
	}
	request.Host = h["Host"]
	response, err := i.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, answer
}

// onEachFace runs a test on every face, of one installation whose database is empty each time.
func onEachFace(t *testing.T, test func(t *testing.T, f face, token string)) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		token := i.token(t, "admin")
		for _, f := range i.faces(t) {
			test(t, f, token)
			i.clear(t)
		}
	})
}

// clear empties the database.
func (i *installation) clear(t *testing.T) {
	t.Helper()
	url := "http://" + i.Info.Firestore + "/emulator/v1/projects/" + i.Info.Project + "/databases/(default)/documents"
	request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := i.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response.Status, err)
	}
}

// list is a repeated message of an answer.
func list(answer map[string]any, field string) []map[string]any {
	var all []map[string]any
	elements, _ := answer[field].([]any)
	for _, e := range elements {
		all = append(all, e.(map[string]any))
	}
	return all
}

// column is one field of each message.
func column(rows []map[string]any, field string) string {
	var values []string
	for _, row := range rows {
		values = append(values, fmt.Sprint(row[field]))
	}
	return strings.Join(slices.Clip(values), " ")
}
