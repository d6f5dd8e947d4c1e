package local_test

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
)

// TestUnknownFields: every method takes a request that has fields which nobody knows, in each of its messages, as if they were not there:
// in JSON under a name, in a query, and in the binary format under a number.
func TestUnknownFields(t *testing.T) {
	onEachFace(t, func(t *testing.T, f face, token string) {
		const more = `"notAField":{"x":[1,"2",null]}`
		do := func(method, request string, arguments ...any) map[string]any {
			t.Helper()
			if !f.serves(method) {
				return nil
			}
			return f.do(t, token, method, fmt.Sprintf(request, arguments...))
		}
		id := do("CreateTarget", `{"name":"one","restCall":{"interruptOnError":true,`+more+`},"timeout":"1s","endpoint":"https://192.0.2.1/",`+more+`}`)["id"]
		do("UpdateTarget", `{"id":%q,"name":"two",`+more+`}`, id)
		target := do("GetTarget", `{"id":%q,`+more+`}`, id)["target"].(map[string]any)
		want(t, f, "the target", []any{"two", map[string]any{"interruptOnError": true}}, []any{target["name"], target["restCall"]})
		found := do("ListTargets", `{"pagination":{"limit":7,`+more+`},"filters":[{"targetNameFilter":{"targetName":"two",`+more+`},`+more+`}],`+more+`}`)
		want(t, f, "the targets", []any{"two", "7"}, []any{column(list(found, "targets"), "name"), found["pagination"].(map[string]any)["appliedLimit"]})
		do("SetExecution", `{"condition":{"event":{"event":"a.b",`+more+`},`+more+`},"targets":[%q],`+more+`}`, id)
		set := do("ListExecutions", `{"filters":[{"targetFilter":{"targetId":%q,`+more+`},`+more+`}],`+more+`}`, id)
		want(t, f, "the execution", []any{id}, list(set, "executions")[0]["targets"].([]any))
		for _, method := range []string{"ListExecutionFunctions", "ListExecutionMethods", "ListExecutionServices"} {
			do(method, `{`+more+`}`)
		}
		if f.serves("AddPublicKey") {
			key := do("AddPublicKey", `{"targetId":%q,"publicKey":%q,`+more+`}`, id, pemJSON(aKey))["keyId"]
			do("ActivatePublicKey", `{"targetId":%q,"keyId":%q,`+more+`}`, id, key)
			keys := do("ListPublicKeys", `{"targetId":%q,"filters":[{"activeFilter":true,`+more+`}],`+more+`}`, id)
			want(t, f, "the key", fmt.Sprint(key), column(list(keys, "publicKeys"), "keyId"))
			do("DeactivatePublicKey", `{"targetId":%q,"keyId":%q,`+more+`}`, id, key)
			do("RemovePublicKey", `{"targetId":%q,"keyId":%q,`+more+`}`, id, key)
		}
		if removed := do("DeleteTarget", `{"id":%q,`+more+`}`, id); removed["deletionDate"] == nil {
			t.Errorf("%s: removed %v", f, removed)
		}
	})
}

// TestReadsSeeWrites: what is written over one face is read over every other at once, one by one and in lists.
func TestReadsSeeWrites(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		token, faces := i.token(t, "admin"), i.faces(t)
		for _, writer := range faces {
			write := func(method, request string, arguments ...any) map[string]any {
				t.Helper()
				return writer.do(t, token, method, fmt.Sprintf(request, arguments...))
			}
			// Each read over each face.
			reads := func(what, method, request string, wanted any, read func(map[string]any) any) {
				t.Helper()
				for _, reader := range faces {
					if reader.serves(method) {
						want(t, reader, fmt.Sprintf("%s, written by %s, in %s", what, writer, method), wanted, read(reader.do(t, token, method, request)))
					}
				}
			}
			id := write("CreateTarget", `{"name":"one","restAsync":{},"timeout":"1s","endpoint":"https://192.0.2.1/"}`)["id"]
			one := fmt.Sprintf(`{"id":%q}`, id)
			names := func(answer map[string]any) any { return column(list(answer, "targets"), "name") }
			name := func(answer map[string]any) any { return answer["target"].(map[string]any)["name"] }
			reads("a new target", "GetTarget", one, "one", name)
			reads("a new target", "ListTargets", `{}`, "one", names)
			write("UpdateTarget", `{"id":%q,"name":"two"}`, id)
			reads("a change", "GetTarget", one, "two", name)
			reads("a change", "ListTargets", `{"filters":[{"targetNameFilter":{"targetName":"two"}}]}`, "two", names)
			lists := func(answer map[string]any) any {
				var all []any
				for _, e := range list(answer, "executions") {
					all = append(all, e["targets"])
				}
				return all
			}
			const a, b = `{"event":{"event":"a.b"}}`, `{"event":{"all":true}}`
			write("SetExecution", `{"condition":%s,"targets":[%q]}`, a, id)
			reads("a new execution", "ListExecutions", `{}`, []any{[]any{id}}, lists)
			write("SetExecution", `{"condition":%s,"targets":[%q]}`, b, id)
			reads("one more", "ListExecutions", `{}`, []any{[]any{id}, []any{id}}, lists)
			write("SetExecution", `{"condition":%s}`, a)
			reads("one less", "ListExecutions", `{}`, []any{[]any{id}}, lists)
			if writer.serves("AddPublicKey") {
				key := write("AddPublicKey", `{"targetId":%q,"publicKey":%q}`, id, pemJSON(aKey))["keyId"]
				active := func(answer map[string]any) any {
					return column(list(answer, "publicKeys"), "keyId") + " " + column(list(answer, "publicKeys"), "active")
				}
				of := fmt.Sprintf(`{"targetId":%q}`, id)
				reads("a new key", "ListPublicKeys", of, fmt.Sprint(key, " <nil>"), active)
				write("ActivatePublicKey", `{"targetId":%q,"keyId":%q}`, id, key)
				reads("an active key", "ListPublicKeys", of, fmt.Sprint(key, " true"), active)
				write("DeactivatePublicKey", `{"targetId":%q,"keyId":%q}`, id, key)
				reads("an inactive key", "ListPublicKeys", of, fmt.Sprint(key, " <nil>"), active)
				write("RemovePublicKey", `{"targetId":%q,"keyId":%q}`, id, key)
				reads("no key", "ListPublicKeys", of, " ", active)
			}
			write("DeleteTarget", `{"id":%q}`, id)
			for _, reader := range faces {
				refused(t, reader, "GetTarget", writer.String(), reader.call(t, token, "GetTarget", one), codes.NotFound, "Target not found (QUERY-hj5oaniyrz)")
			}
			reads("no target", "ListTargets", `{}`, "", names)
			reads("no target", "ListExecutions", `{}`, []any(nil), lists)
		}
	})
}
