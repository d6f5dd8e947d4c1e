package local_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/emulator/local"
)

const never = "0001-01-01T00:00:00Z"

// want compares what is with what should be.
func want(t *testing.T, f face, what string, wanted, got any) {
	t.Helper()
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("%s: %s (-want +got):\n%s", f, what, diff)
	}
}

// TestTargetLife is sections 1.2 to 1.4 of actions-v2.md for targets: the form of the JSON, and what is said to who repeats a call.
func TestTargetLife(t *testing.T) {
	onEachFace(t, func(t *testing.T, f face, token string) {
		do := func(method, request string, arguments ...any) map[string]any {
			t.Helper()
			time.Sleep(time.Millisecond) // virtual: each call has a time of its own
			return f.do(t, token, method, fmt.Sprintf(request, arguments...))
		}
		created := do("CreateTarget", `{"name":"one","rest_webhook":{"interrupt_on_error":true},"timeout":"1.5s","endpoint":"https://192.0.2.1/","not_a_field":{"x":1}}`)
		id, date, key := created["id"], created["creationDate"], created["signingKey"].(string)
		if len(created) != 3 || len(key) != 36 || strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			t.Errorf("%s: created %v", f, created)
		}
		get := func() map[string]any { t.Helper(); return do("GetTarget", `{"id":%q}`, id)["target"].(map[string]any) }
		one := map[string]any{"id": id, "creationDate": date, "changeDate": date, "name": "one", "restWebhook": map[string]any{"interruptOnError": true},
			"timeout": "1.500s", "endpoint": "https://192.0.2.1/", "signingKey": key}
		want(t, f, "get", one, get())
		want(t, f, "update with nothing", map[string]any{"changeDate": date}, do("UpdateTarget", `{"id":%q}`, id))
		want(t, f, "update with what it is", map[string]any{"changeDate": date}, do("UpdateTarget", `{"id":%q,"name":"one","timeout":"1.500s"}`, id))
		one["changeDate"], one["restWebhook"] = do("UpdateTarget", `{"id":%q,"restWebhook":{}}`, id)["changeDate"], map[string]any{}
		want(t, f, "the first change ends the interruption", one, get())
		if one["changeDate"] == date {
			t.Errorf("%s: a change left its date", f)
		}
		for _, overlap := range []string{"0s", "0s", "604800s"} {
			rotated := do("UpdateTarget", `{"id":%q,"expirationSigningKey":%q}`, id, overlap)
			if rotated["signingKey"] == one["signingKey"] || rotated["changeDate"] == one["changeDate"] {
				t.Errorf("%s: rotated %v", f, rotated)
			}
			one["signingKey"], one["changeDate"] = rotated["signingKey"], rotated["changeDate"]
			want(t, f, "rotated", one, get())
		}
		delete(one, "restWebhook")
		one["restAsync"], one["name"], one["endpoint"] = map[string]any{}, "two", "https://192.0.2.2/"
		one["changeDate"] = do("UpdateTarget", `{"id":%q,"restAsync":{},"name":"two","endpoint":"https://192.0.2.2/"}`, id)["changeDate"]
		want(t, f, "changed", one, get())
		again := do("CreateTarget", `{"name":"one","restCall":{},"timeout":"1s","endpoint":"https://192.0.2.1/"}`)
		if again["id"] == id {
			t.Errorf("%s: one id twice", f)
		}
		removed := do("DeleteTarget", `{"id":%q}`, id)
		if removed["deletionDate"] == nil {
			t.Errorf("%s: removed %v", f, removed)
		}
		want(t, f, "removed again", removed, do("DeleteTarget", `{"id":%q}`, id))
		want(t, f, "removed what never was", map[string]any{}, do("DeleteTarget", `{"id":"none"}`))
	})
}

// TestPayloadTypes: unspecified is left out and JSON is told, but not in v2beta, which knows of none.
func TestPayloadTypes(t *testing.T) {
	onEachFace(t, func(t *testing.T, f face, token string) {
		created := f.do(t, token, "CreateTarget", `{"name":"n","restAsync":{},"timeout":"1s","endpoint":"https://192.0.2.1/","payloadType":"PAYLOAD_TYPE_JSON"}`)
		got := f.do(t, token, "GetTarget", fmt.Sprintf(`{"id":%q}`, created["id"]))["target"].(map[string]any)["payloadType"]
		var wanted any
		if f.version == "v2" {
			wanted = "PAYLOAD_TYPE_JSON"
		}
		want(t, f, "payload type", wanted, got)
	})
}

// TestEndpointBounds: v2beta's is shorter.
func TestEndpointBounds(t *testing.T) {
	onEachFace(t, func(t *testing.T, f face, token string) {
		limit := map[string]int{"v2": 2048, "v2beta": 1000}[f.version]
		const site = "https://192.0.2.1/"
		endpoint := site + strings.Repeat("x", limit-len(site))
		created := f.do(t, token, "CreateTarget", fmt.Sprintf(`{"name":"n","restAsync":{},"timeout":"1s","endpoint":%q}`, endpoint))
		for method, request := range map[string]string{"CreateTarget": `{"name":"m","restAsync":{},"timeout":"1s","endpoint":%q}`, "UpdateTarget": `{"endpoint":%q,"id":"` + fmt.Sprint(created["id"]) + `"}`} {
			message := f.call(t, token, method, fmt.Sprintf(request, endpoint+"x")).fields(t)["message"]
			want(t, f, method, any(fmt.Sprintf("invalid %sRequest.Endpoint: value length must be between 1 and %d runes, inclusive", method, limit)), message)
		}
	})
}

// TestExecutionLife is sections 1.4 and 2 for executions.
func TestExecutionLife(t *testing.T) {
	faces := 0
	onEachFace(t, func(t *testing.T, f face, token string) {
		faces++
		do := func(method, request string, arguments ...any) map[string]any {
			t.Helper()
			time.Sleep(time.Millisecond)
			return f.do(t, token, method, fmt.Sprintf(request, arguments...))
		}
		var ids []any
		for _, name := range []string{"a", "b", "c"} {
			ids = append(ids, do("CreateTarget", `{"name":%q,"restAsync":{},"timeout":"1s","endpoint":"https://192.0.2.1/"}`, name)["id"])
		}
		event := fmt.Sprintf(`{"event":{"event":"face%d.x"}}`, faces)
		set := func(condition string, targets ...any) any {
			t.Helper()
			var list []string
			for _, id := range targets {
				list = append(list, fmt.Sprintf("%q", id))
			}
			return do("SetExecution", `{"condition":%s,"targets":[%s]}`, condition, strings.Join(list, ","))["setDate"]
		}
		page := func(request string) []map[string]any {
			t.Helper()
			answer := do("ListExecutions", "%s", request)
			found := list(answer, "executions")
			total, _ := answer["pagination"].(map[string]any)["totalResult"].(string)
			if total != fmt.Sprint(len(found)) && (len(found) > 0 || total != "") {
				t.Errorf("%s: %s: %d of %s", f, request, len(found), total)
			}
			return found
		}
		want(t, f, "nothing where nothing was", any(never), set(event))
		first := set(event, ids[1], ids[0])
		want(t, f, "the same list", first, set(event, ids[1], ids[0]))
		second := set(event, ids[0], ids[1])
		if second == first {
			t.Errorf("%s: another order is no change", f)
		}
		want(t, f, "in their order", []map[string]any{{"condition": map[string]any{"event": map[string]any{"event": fmt.Sprintf("face%d.x", faces)}},
			"creationDate": first, "changeDate": second, "targets": []any{ids[0], ids[1]}}}, page(`{}`))
		group := fmt.Sprintf(`{"event":{"group":"face%d"}}`, faces)
		for _, condition := range []string{`{"response":{"method":"/acme.v1.S/M"}}`, `{"response":{"service":"acme.v1.S"}}`, `{"response":{"all":true}}`,
			`{"request":{"all":true}}`, `{"function":{"name":"preuserinfo"}}`, `{"event":{"all":true}}`, group} {
			set(condition, ids[2])
		}
		conditions := func(rows []map[string]any) string {
			var ids []string
			for _, row := range rows {
				for kind, inner := range row["condition"].(map[string]any) {
					for scope := range inner.(map[string]any) {
						ids = append(ids, kind+"."+scope)
					}
				}
			}
			return strings.Join(ids, " ")
		}
		for request, wanted := range map[string]string{
			`{"sortingColumn":"EXECUTION_FIELD_NAME_ID"}`:                                                                                                                   "response.method response.service response.all request.all function.name event.event event.group event.all",
			`{"filters":[{"targetFilter":{"targetId":"` + fmt.Sprint(ids[1]) + `"}}]}`:                                                                                      "event.event",
			`{"filters":[{"targetFilter":{"targetId":"none"}}]}`:                                                                                                            "",
			`{"filters":[{"executionTypeFilter":{"executionType":"EXECUTION_TYPE_RESPONSE"}}],"pagination":{"asc":true}}`:                                                   "response.method response.service response.all",
			`{"filters":[{"executionTypeFilter":{"executionType":"EXECUTION_TYPE_REQUEST"}}]}`:                                                                              "request.all",
			`{"filters":[{"executionTypeFilter":{"executionType":"EXECUTION_TYPE_FUNCTION"}}]}`:                                                                             "function.name",
			`{"filters":[{"executionTypeFilter":{"executionType":"EXECUTION_TYPE_EVENT"}}],"sortingColumn":"EXECUTION_FIELD_NAME_CHANGED_DATE"}`:                            "event.group event.all event.event",
			`{"filters":[{"inConditionsFilter":{"conditions":[` + group + `,{"request":{"all":true}},{"request":{"service":"x"}}]}}]}`:                                      "event.group request.all",
			`{"filters":[{"executionTypeFilter":{"executionType":"EXECUTION_TYPE_EVENT"}},{"inConditionsFilter":{"conditions":[` + group + `,{"request":{"all":true}}]}}]}`: "event.group",
		} {
			want(t, f, request, wanted, conditions(page(request)))
		}
		empty := do("ListExecutions", `{"pagination":{"offset":"100"}}`)
		want(t, f, "a page past the end", map[string]any{"pagination": map[string]any{"totalResult": "8", "appliedLimit": "100"}}, empty)
		do("DeleteTarget", `{"id":%q}`, ids[2])
		want(t, f, "executions without a target are gone", "event.event", conditions(page(`{}`)))
		do("DeleteTarget", `{"id":%q}`, ids[0])
		want(t, f, "and so are targets from lists", []any{ids[1]}, page(`{}`)[0]["targets"].([]any))
		set(event)
		want(t, f, "an empty list ends it", "", conditions(page(`{}`)))
		for _, kind := range []string{"Functions", "Methods", "Services"} {
			if names := do("ListExecution"+kind, `{}`)[strings.ToLower(kind)].([]any); len(names) < 3 {
				t.Errorf("%s: %s %v", f, kind, names)
			}
		}
	})
}

// TestTargetLists is section 2 for targets.
func TestTargetLists(t *testing.T) {
	onEachFace(t, func(t *testing.T, f face, token string) {
		ids := map[string]any{}
		for _, made := range []string{
			`{"name":"Alpha","restWebhook":{},"timeout":"3s","endpoint":"https://192.0.2.2/"}`,
			`{"name":"beta","restCall":{"interruptOnError":true},"timeout":"1s","endpoint":"https://192.0.2.3/"}`,
			`{"name":"alphabet","restAsync":{},"timeout":"2s","endpoint":"https://192.0.2.1/"}`,
			`{"name":"1%_\\","restWebhook":{"interruptOnError":true},"timeout":"4s","endpoint":"https://192.0.2.4/"}`,
		} {
			time.Sleep(time.Millisecond)
			name, _, _ := strings.Cut(made[len(`{"name":"`):], `"`)
			ids[name] = f.do(t, token, "CreateTarget", made)["id"]
		}
		time.Sleep(time.Millisecond)
		f.do(t, token, "UpdateTarget", fmt.Sprintf(`{"id":%q,"timeout":"5s"}`, ids["Alpha"]))
		named := func(value, method string) string {
			return fmt.Sprintf(`{"filters":[{"targetNameFilter":{"targetName":%q,"method":"TEXT_FILTER_METHOD_%s"}}],"pagination":{"asc":true}}`, value, method)
		}
		sorted := func(column string) string {
			return `{"sortingColumn":"TARGET_FIELD_NAME_` + column + `","pagination":{"asc":true}}`
		}
		for _, tt := range []struct{ request, wanted, total, limit string }{
			{`{}`, `1%_\ alphabet beta Alpha`, "4", "100"},
			{`{"pagination":{"asc":true,"limit":1000}}`, `Alpha beta alphabet 1%_\`, "4", "1000"},
			{`{"pagination":{"limit":2,"offset":"1"}}`, `alphabet beta`, "4", "2"},
			{`{"pagination":{"offset":"4","limit":7}}`, ``, "4", "7"},
			{`{"pagination":{"offset":"18446744073709551615"}}`, ``, "4", "100"},
			{sorted("UNSPECIFIED"), `Alpha beta alphabet 1%_\`, "4", "100"},
			{sorted("CREATED_DATE"), `Alpha beta alphabet 1%_\`, "4", "100"},
			{sorted("CHANGED_DATE"), `beta alphabet 1%_\ Alpha`, "4", "100"},
			{sorted("NAME"), `1%_\ Alpha alphabet beta`, "4", "100"},
			{sorted("URL"), `alphabet Alpha beta 1%_\`, "4", "100"},
			{sorted("TIMEOUT"), `beta alphabet 1%_\ Alpha`, "4", "100"},
			{named("Alpha", "EQUALS"), `Alpha`, "1", "100"},
			{named("ALPHA", "EQUALS"), ``, "", "100"},
			{named("ALPHA", "EQUALS_IGNORE_CASE"), `Alpha`, "1", "100"},
			{named("alpha", "STARTS_WITH"), `alphabet`, "1", "100"},
			{named("ALPHA", "STARTS_WITH_IGNORE_CASE"), `Alpha alphabet`, "2", "100"},
			{named("bet", "CONTAINS"), `beta alphabet`, "2", "100"},
			{named("HA", "CONTAINS_IGNORE_CASE"), `Alpha alphabet`, "2", "100"},
			{named("ta", "ENDS_WITH"), `beta`, "1", "100"},
			{named("HA", "ENDS_WITH_IGNORE_CASE"), `Alpha`, "1", "100"},
			{named("%", "CONTAINS"), `1%_\`, "1", "100"},
			{named("_", "CONTAINS"), `1%_\`, "1", "100"},
			{named(`\`, "ENDS_WITH"), `1%_\`, "1", "100"},
			{fmt.Sprintf(`{"filters":[{"inTargetIdsFilter":{"targetIds":[%q,"none",%q]}}]}`, ids["beta"], ids["Alpha"]), `beta Alpha`, "2", "100"},
			{fmt.Sprintf(`{"filters":[{"inTargetIdsFilter":{"targetIds":[%q]}},{"targetNameFilter":{"targetName":"beta"}}]}`, ids["Alpha"]), ``, "", "100"},
		} {
			answer := f.do(t, token, "ListTargets", tt.request)
			pagination := map[string]any{"appliedLimit": tt.limit}
			if tt.total != "" { // zero is left out
				pagination["totalResult"] = tt.total
			}
			want(t, f, tt.request, tt.wanted, column(list(answer, "targets"), "name"))
			want(t, f, tt.request, any(pagination), answer["pagination"])
		}
		interrupts := list(f.do(t, token, "ListTargets", sorted("INTERRUPT_ON_ERROR")), "targets")
		for n, row := range interrupts {
			if row["name"] == "beta" && n < 2 || row["name"] == "Alpha" && n > 1 {
				t.Errorf("%s: by interruption %s", f, column(interrupts, "name"))
			}
		}
		byType := column(list(f.do(t, token, "ListTargets", sorted("TARGET_TYPE")), "targets"), "name")
		if strings.Contains(byType, "Alpha beta 1") || strings.Contains(byType, "Alpha alphabet 1") {
			t.Errorf("%s: by type %s", f, byType)
		}
		if byID := column(list(f.do(t, token, "ListTargets", sorted("ID")), "targets"), "id"); !slices.IsSorted(strings.Fields(byID)) {
			t.Errorf("%s: by id %s", f, byID)
		}
	})
}

// TestPublicKeyLife is sections 1.4, 3.6 and 7.4 for public keys.
func TestPublicKeyLife(t *testing.T) {
	onEachFace(t, func(t *testing.T, f face, token string) {
		if !f.serves("AddPublicKey") {
			return
		}
		do := func(method, request string, arguments ...any) map[string]any {
			t.Helper()
			time.Sleep(time.Millisecond)
			return f.do(t, token, method, fmt.Sprintf(request, arguments...))
		}
		id := do("CreateTarget", `{"name":"one","restAsync":{},"timeout":"1s","endpoint":"https://192.0.2.1/"}`)["id"]
		expires := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		a := do("AddPublicKey", `{"targetId":" %s\t","publicKey":%q}`, id, pemJSON(aKey))
		b := do("AddPublicKey", `{"targetId":%q,"publicKey":%q,"expirationDate":%q}`, id, pemJSON(aKey), expires)
		one := func(method string, key any) map[string]any {
			t.Helper()
			return do(method, `{"targetId":%q,"keyId":%q}`, id, key)
		}
		keys := func(more string) map[string]any {
			t.Helper()
			return do("ListPublicKeys", `{"targetId":%q%s}`, id, more)
		}
		rowA := map[string]any{"keyId": a["keyId"], "publicKey": pemJSON(aKey), "fingerprint": aKeyPrint, "creationDate": a["creationDate"], "changeDate": a["creationDate"]}
		rowB := map[string]any{"keyId": b["keyId"], "publicKey": pemJSON(aKey), "fingerprint": aKeyPrint, "creationDate": b["creationDate"], "changeDate": b["creationDate"], "expirationDate": expires}
		two := map[string]any{"totalResult": "2", "appliedLimit": "100"}
		want(t, f, "newest first", map[string]any{"pagination": two, "publicKeys": []any{rowB, rowA}}, keys(""))
		want(t, f, "deactivate what is inactive", map[string]any{"changeDate": a["creationDate"]}, one("DeactivatePublicKey", a["keyId"]))
		active := one("ActivatePublicKey", a["keyId"])
		want(t, f, "activate what is active", active, one("ActivatePublicKey", a["keyId"]))
		switched := one("ActivatePublicKey", b["keyId"])
		rowA["changeDate"], rowB["changeDate"], rowB["active"] = switched["changeDate"], switched["changeDate"], true
		want(t, f, "the other one became inactive", map[string]any{"pagination": two, "publicKeys": []any{rowA, rowB}}, keys(`,"pagination":{"asc":true}`))
		name := func(answer map[string]any) string {
			return strings.NewReplacer(fmt.Sprint(a["keyId"]), "a", fmt.Sprint(b["keyId"]), "b").Replace(column(list(answer, "publicKeys"), "keyId"))
		}
		when := func(method string) string {
			return fmt.Sprintf(`,"filters":[{"expirationDateFilter":{"timestamp":%q,"method":"TIMESTAMP_FILTER_METHOD_%s"}}]`, expires, method)
		}
		for more, wanted := range map[string]string{
			`,"filters":[{"activeFilter":true}]`: "b", `,"filters":[{"activeFilter":false}]`: "a",
			fmt.Sprintf(`,"filters":[{"keyIdsFilter":{"ids":["none",%q]}}]`, a["keyId"]): "a",
			when("EQUALS"): "b", when("AFTER"): "", when("AFTER_OR_EQUALS"): "b", when("BEFORE"): "", when("BEFORE_OR_EQUALS"): "b",
			`,"sortingColumn":"PUBLIC_KEY_FIELD_NAME_EXPIRATION_DATE"`: "a b", `,"sortingColumn":"PUBLIC_KEY_FIELD_NAME_CREATION_DATE"`: "b a",
			`,"pagination":{"limit":1,"offset":"1"}`: "a", `,"pagination":{"offset":"2"}`: "",
		} {
			want(t, f, more, wanted, name(keys(more)))
		}
		want(t, f, "past the end", map[string]any{"pagination": two}, keys(`,"pagination":{"offset":"2"}`))
		off := one("DeactivatePublicKey", b["keyId"])
		if off["changeDate"] == switched["changeDate"] {
			t.Errorf("%s: deactivating changed nothing", f)
		}
		removed := one("RemovePublicKey", a["keyId"])
		want(t, f, "removed again", removed, one("RemovePublicKey", a["keyId"]))
		want(t, f, "removed what never was", map[string]any{"deletionDate": never}, one("RemovePublicKey", "none"))
		want(t, f, "removed of no target", map[string]any{"deletionDate": never}, do("RemovePublicKey", `{"targetId":"none","keyId":"none"}`))
		want(t, f, "one is left", "b", name(keys("")))
		want(t, f, "of no target", map[string]any{"pagination": map[string]any{"appliedLimit": "100"}}, do("ListPublicKeys", `{"targetId":"none"}`))
		gone := do("DeleteTarget", `{"id":%q}`, id)
		want(t, f, "removed with its target", gone, one("RemovePublicKey", b["keyId"]))
	})
}

// TestKeysAreActivatedByPUTToo, as the reference's documentation has it.
func TestKeysAreActivatedByPUTToo(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		token := i.token(t, "admin")
		f := i.faces(t)[0]
		placed := placeKeys(t, f, token)
		for _, verb := range []string{"PUT", "POST"} {
			for _, act := range []string{"deactivate", "activate"} {
				path := placed.Replace("/v2/actions/targets/TARGET/publickeys/INACTIVE/" + act)
				if response, answer := i.post(t, verb, path, bearer(token), "application/json", nil); response.StatusCode != 200 || !strings.Contains(string(answer), "changeDate") {
					t.Errorf("%s %s: %d %s", verb, act, response.StatusCode, answer)
				}
			}
		}
	})
}

// TestHiddenSigningKeys: they are told to who makes them, and to nobody later.
func TestHiddenSigningKeys(t *testing.T) {
	hide := func(c *local.Config) { c.Environ = []string{"CALLOUT_HIDE_SIGNING_KEYS=true"} }
	inBubble(t, hide, func(t *testing.T, i *installation) {
		token := i.token(t, "admin")
		for _, f := range i.faces(t) {
			created := f.do(t, token, "CreateTarget", fmt.Sprintf(`{"name":%q,"restAsync":{},"timeout":"1s","endpoint":"https://192.0.2.1/"}`, f))
			rotated := f.do(t, token, "UpdateTarget", fmt.Sprintf(`{"id":%q,"expirationSigningKey":"0s"}`, created["id"]))
			if len(created["signingKey"].(string)) != 36 || len(rotated["signingKey"].(string)) != 36 {
				t.Errorf("%s: created %v, rotated %v", f, created, rotated)
			}
			shown := f.do(t, token, "GetTarget", fmt.Sprintf(`{"id":%q}`, created["id"]))["target"].(map[string]any)
			listed := list(f.do(t, token, "ListTargets", `{}`), "targets")
			for _, target := range append(listed, shown) {
				if key, ok := target["signingKey"]; ok {
					t.Errorf("%s: shown %v", f, key)
				}
			}
		}
	})
}
