package local_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
)

const answersGolden = "testdata/answers.txt"

// answer is a row of actions-v2.md that is accepted: what is sent, after all rows before it. Its answer is in the golden file. Words like
// ID-1 stand for what was told before, the first id, and KEY-1 for the first signing key.
type answer struct{ name, method, request string }

// answers are sections 1 to 4 of actions-v2.md, with section 10's improvements. TIME-1 is the first time that was told: a number that
// comes again is the same time.
func answers() []answer {
	long := func(n int) string { return strings.Repeat("é", n) }
	set := func(condition, targets string) string {
		return `{"condition":` + condition + `,"targets":[` + targets + `]}`
	}
	only := func(condition string) string {
		return `{"filters":[{"inConditionsFilter":{"conditions":[` + condition + `]}}]}`
	}
	const call, one = `"restCall":{},"timeout":"1s","endpoint":"https://192.0.2.1/"`, `{"id":"ID-1"}`
	all := []answer{
		{"1.3 create a webhook that interrupts", "CreateTarget", `{"name":"one","restWebhook":{"interruptOnError":true},"timeout":"10s","endpoint":"https://192.0.2.1/"}`},
		{"1.3 its names may be the proto's", "CreateTarget", `{"name":"two","rest_call":{"interrupt_on_error":true},"timeout":"0.000000001s","endpoint":"http://192.0.2.1:81/a?b#c"}`},
		{"1.3 a name and a timeout as long as may be", "CreateTarget", `{"name":"` + long(1000) + `","restAsync":{},"timeout":"270s","endpoint":"https://192.0.2.1/"}`},
		{"1.2 get what was created", "GetTarget", one},
		{"1.2 a part of a second", "GetTarget", `{"id":"ID-2"}`},
		{"1.2 an empty message", "ListTargets", `{"filters":[{"targetNameFilter":{"targetName":"` + long(200) + `","method":"TEXT_FILTER_METHOD_STARTS_WITH"}}]}`},
		{"1.2 an enum by its number, and a number as a text", "ListTargets", `{"sortingColumn":4,"pagination":{"limit":"1","offset":1,"asc":true}}`},
		{"1.2 null is nothing", "ListTargets", `{"sortingColumn":null,"filters":null,"pagination":null}`},
		{"2 limit 1000", "ListTargets", `{"pagination":{"limit":1000,"offset":"3"}}`},

		{"1.4 update with nothing", "UpdateTarget", one},
		{"1.4 update with what it is", "UpdateTarget", `{"id":"ID-1","name":"one","restWebhook":{"interruptOnError":true},"timeout":"10s","endpoint":"https://192.0.2.1/"}`},
		{"10 the first update ends the interruption", "UpdateTarget", `{"id":"ID-1","restWebhook":{}}`},
		{"1.3 update one field", "UpdateTarget", `{"id":"ID-1","name":"uno"}`},
		{"1.3 the former name is free", "UpdateTarget", `{"id":"ID-2","name":"one"}`},
		{"1.3 every other field", "UpdateTarget", `{"id":"ID-1","restCall":{"interruptOnError":true},"timeout":"1.5s","endpoint":"https://192.0.2.2/"}`},
		{"1.3 it is so", "GetTarget", one},
		{"1.4 rotate", "UpdateTarget", `{"id":"ID-1","expirationSigningKey":"0s"}`},
		{"1.4 rotate again", "UpdateTarget", `{"id":"ID-1","expirationSigningKey":"0s"}`},
		{"10 rotate with an overlap", "UpdateTarget", `{"id":"ID-1","expiration_signing_key":"604800s"}`},
		{"1.4 the last key is told", "GetTarget", one},

		{"1.4 nothing where nothing was", "SetExecution", set(`{"request":{"all":true}}`, ``)},
		{"4.1 request: all", "SetExecution", set(`{"request":{"all":true}}`, `"ID-2","ID-1"`)},
		{"1.4 the same list", "SetExecution", set(`{"request":{"all":true}}`, `"ID-2","ID-1"`)},
		{"1.4 another order", "SetExecution", set(`{"request":{"all":true}}`, `"ID-1","ID-2"`)},
		{"4.1 request: a service", "SetExecution", set(`{"request":{"service":"zitadel.session.v2.SessionService"}}`, `"ID-1"`)},
		{"4.1 request: a method", "SetExecution", set(`{"request":{"method":"/zitadel.session.v2.SessionService/ListSessions"}}`, `"ID-1"`)},
		{"4.1 response: all", "SetExecution", set(`{"response":{"all":true}}`, `"ID-1"`)},
		{"4.1 response: a service of the first API", "SetExecution", set(`{"response":{"service":"zitadel.management.v1.ManagementService"}}`, `"ID-1"`)},
		{"4.1 response: a method", "SetExecution", set(`{"response":{"method":"/zitadel.session.v2.SessionService/ListSessions"}}`, `"ID-1"`)},
		{"4.1 function", "SetExecution", set(`{"function":{"name":"preaccesstoken"}}`, `"ID-1"`)},
		{"4.1 event: all", "SetExecution", set(`{"event":{"all":true}}`, `"ID-1"`)},
		{"4.1 event", "SetExecution", set(`{"event":{"event":"user.human.added"}}`, `"ID-1"`)},
		{"4.1 a group", "SetExecution", set(`{"event":{"group":"user.human"}}`, `"ID-1"`)},
		{"4.1 the suffix is there already", "SetExecution", set(`{"event":{"group":"user.human.*"}}`, `"ID-1"`)},
		{"4.2 a shorter group", "SetExecution", set(`{"event":{"group":"user"}}`, `"ID-1"`)},
		{"2 by id, descending", "ListExecutions", `{"sortingColumn":"EXECUTION_FIELD_NAME_ID"}`},
		{"2 by id, ascending, a page", "ListExecutions", `{"sortingColumn":"EXECUTION_FIELD_NAME_ID","pagination":{"asc":true,"limit":2,"offset":1}}`},
		{"2 the newest first", "ListExecutions", `{"pagination":{"limit":1}}`},
		{"2 by creation", "ListExecutions", `{"sortingColumn":"EXECUTION_FIELD_NAME_CREATED_DATE","pagination":{"asc":true,"limit":1}}`},
		{"2 by change", "ListExecutions", `{"sortingColumn":"EXECUTION_FIELD_NAME_CHANGED_DATE","pagination":{"asc":true,"limit":1}}`},
		{"2 of a target", "ListExecutions", `{"filters":[{"targetFilter":{"targetId":"ID-2"}}]}`},
		{"2 two filters", "ListExecutions", `{"filters":[{"executionTypeFilter":{"executionType":"EXECUTION_TYPE_EVENT"}},{"targetFilter":{"targetId":"ID-2"}}]}`},
		{"2 of a condition, with its slash", "ListExecutions", only(`{"response":{"method":"/zitadel.session.v2.SessionService/ListSessions"}}`)},
		{"2 of a group, with its suffix", "ListExecutions", only(`{"event":{"group":"user.*"}}`)},
		{"2 of conditions that nobody knows", "ListExecutions", only(`{"event":{"event":"user.nothing"}},{"function":{"name":"nothing"}}`)},
		{"1.4 an empty list ends it", "SetExecution", set(`{"event":{"group":"user"}}`, ``)},
		{"1.4 and ends it once", "SetExecution", set(`{"event":{"group":"user"}}`, ``)},
		{"2 it is not listed", "ListExecutions", only(`{"event":{"group":"user"}}`)},
		{"1.1 functions", "ListExecutionFunctions", `{}`},

		{"1.4 delete", "DeleteTarget", `{"id":"ID-2"}`},
		{"1.4 deleted already", "DeleteTarget", `{"id":"ID-2"}`},
		{"1.4 what never was", "DeleteTarget", `{"id":"none"}`},
		{"1.4 what never could be", "DeleteTarget", `{"id":"` + long(200) + `"}`},
		{"1.3 the name is free again", "CreateTarget", `{"name":"one",` + call + `}`},
		{"2 a target that is gone is not in the list", "ListExecutions", only(`{"request":{"all":true}}`)},

		{"1.3 unspecified is not told", "CreateTarget", `{"name":"unspecified",` + call + `,"payloadType":"PAYLOAD_TYPE_UNSPECIFIED"}`},
		{"1.3 JSON is told", "CreateTarget", `{"name":"json",` + call + `,"payload_type":"PAYLOAD_TYPE_JSON"}`},
		{"1.3 so they are listed", "ListTargets", `{"pagination":{"limit":2},"filters":[{"targetNameFilter":{"targetName":"s","method":"TEXT_FILTER_METHOD_CONTAINS"}}]}`},
		{"1.3 unspecified leaves it", "UpdateTarget", `{"id":"ID-5","payloadType":"PAYLOAD_TYPE_UNSPECIFIED"}`},
	}
	key := pemJSON(aKey)
	const first, second = `{"targetId":"ID-1","keyId":"ID-7"}`, `{"targetId":" ID-1\n","keyId":" ID-8 "}`
	return append(all, []answer{
		{"1.3 add a key", "AddPublicKey", `{"targetId":"ID-1","publicKey":"` + key + `"}`},
		{"1.3 another, in the alphabet of URLs, with an end", "AddPublicKey", `{"targetId":" ID-1\t","public_key":"` + strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(key) + `","expirationDate":"2999-01-02T05:04:05.000006+02:00"}`},
		{"7.4 both inactive, the newest first", "ListPublicKeys", `{"targetId":"ID-1"}`},
		{"1.4 deactivate what is inactive", "DeactivatePublicKey", first},
		{"1.3 activate", "ActivatePublicKey", first},
		{"2 by change", "ListPublicKeys", `{"targetId":"ID-1","sortingColumn":"PUBLIC_KEY_FIELD_NAME_CHANGE_DATE","pagination":{"limit":1}}`},
		{"1.4 activate what is active", "ActivatePublicKey", first},
		{"7.4 the other takes its place", "ActivatePublicKey", second},
		{"2 the active one", "ListPublicKeys", `{"targetId":"ID-1","filters":[{"activeFilter":true}]}`},
		{"2 the inactive one", "ListPublicKeys", `{"targetId":"ID-1","filters":[{"activeFilter":false}]}`},
		{"2 by ids and expiry", "ListPublicKeys", `{"targetId":"ID-1","filters":[{"keyIdsFilter":{"ids":["ID-8","none"]}},{"expirationDateFilter":{"timestamp":"2999-01-02T03:04:05.000006Z"}}]}`},
		{"2 a page past the end", "ListPublicKeys", `{"targetId":"ID-1","pagination":{"offset":"2"}}`},
		{"1.4 remove", "RemovePublicKey", first},
		{"1.4 removed already", "RemovePublicKey", first},
		{"1.4 remove no key", "RemovePublicKey", `{"targetId":"ID-1","keyId":"none"}`},
		{"1.4 remove of no target", "RemovePublicKey", `{"targetId":"none","keyId":"ID-8"}`},
		{"1.3 deactivate", "DeactivatePublicKey", second},
		{"7.4 what is inactive can be removed", "RemovePublicKey", second},
		{"2 of no target", "ListPublicKeys", `{"targetId":"none"}`},
	}...)
}

// TestAnswers sends all rows over every face: their messages are the same in every protocol, and in v2beta, as far as that has them.
func TestAnswers(t *testing.T) {
	rows := answers()
	texts := make([]string, len(rows)) // what was said first
	onEachFace(t, func(t *testing.T, f face, token string) {
		told := teller{}
		for n, row := range rows {
			if !f.serves(row.method) || f.version != "v2" && strings.Contains(row.name, "is told") {
				continue
			}
			time.Sleep(time.Millisecond) // virtual: each call has a time of its own
			said := f.call(t, token, row.method, told.reveal(row.request))
			if said.code != codes.OK {
				t.Fatalf("%s: %s: %s", f, row.name, said.json)
			}
			switch text := told.hide(said.json); {
			case texts[n] == "":
				texts[n] = text
			case f.version != "v2" && strings.Contains(row.name, "they are listed"):
			default:
				if diff := cmp.Diff(texts[n], text); diff != "" {
					t.Errorf("%s: %s (-the first face +this one):\n%s", f, row.name, diff)
				}
			}
		}
	})
	var got strings.Builder
	for n, row := range rows {
		fmt.Fprintf(&got, "== %s\n%s\n", row.name, texts[n])
	}
	if *update {
		if err := os.WriteFile(answersGolden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(answersGolden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// teller numbers what differs from run to run, in the order in which it is told: ids, signing keys and times.
type teller map[string][]string

func (told teller) hide(text string) string {
	for _, v := range varying {
		text = v.pattern.ReplaceAllStringFunc(text, func(value string) string {
			if strings.HasPrefix(value, "2999") {
				return value // as it was sent
			}
			for n, known := range told[v.word] {
				if known == value {
					return fmt.Sprint(v.word, "-", n+1)
				}
			}
			told[v.word] = append(told[v.word], value)
			return fmt.Sprint(v.word, "-", len(told[v.word]))
		})
	}
	return text
}

var told = regexp.MustCompile(`\b(ID|KEY|TIME)-(\d+)\b`)

func (all teller) reveal(text string) string {
	return told.ReplaceAllStringFunc(text, func(word string) string {
		kind, number, _ := strings.Cut(word, "-")
		var n int
		if _, err := fmt.Sscan(number, &n); err != nil || n < 1 || n > len(all[kind]) {
			return word
		}
		return all[kind][n-1]
	})
}
