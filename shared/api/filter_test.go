package api

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	filterv2 "github.com/callout-dev/callout/shared/gen/zitadel/filter/v2"
)

func TestTargetQuery(t *testing.T) {
	page := action.Page{Limit: 100}
	for _, tt := range []struct {
		name, text  string
		want        action.TargetQuery
		id, message string
	}{
		{"nothing", `{}`, action.TargetQuery{Page: page, Sort: action.SortCreated}, "", ""},
		{"a page", `{"pagination":{"offset":"18446744073709551615","limit":1000,"asc":true},"sortingColumn":"TARGET_FIELD_NAME_INTERRUPT_ON_ERROR"}`,
			action.TargetQuery{Page: action.Page{Offset: math.MaxUint64, Limit: 1000, Ascending: true}, Sort: action.SortInterrupt}, "", ""},
		{"filters", `{"filters":[{"targetNameFilter":{"targetName":"n","method":"TEXT_FILTER_METHOD_ENDS_WITH_IGNORE_CASE"}},{"inTargetIdsFilter":{"targetIds":["a","b"]}},{"targetNameFilter":{}}]}`,
			action.TargetQuery{Page: page, Sort: action.SortCreated, Names: []action.NameFilter{{Value: "n", Match: action.EndsWith, IgnoreCase: true}, {Match: action.Equals}}, IDs: [][]action.TargetID{{"a", "b"}}}, "", ""},
		{"too long a page", `{"pagination":{"limit":1001}}`, action.TargetQuery{}, "QUERY-4M0fs", "Limit exceeded"},
		{"an unknown column", `{"sortingColumn":99}`, action.TargetQuery{}, "", "invalid ListTargetsRequest.SortingColumn: value must be one of the defined enum values"},
		{"an empty filter", `{"filters":[{}]}`, action.TargetQuery{}, "", "invalid TargetSearchFilter.Filter: value is required"},
		{"no ids", `{"filters":[{"inTargetIdsFilter":{}}]}`, action.TargetQuery{}, "", "values array must not be empty"},
		{"a long name", `{"filters":[{"targetNameFilter":{"targetName":"` + strings.Repeat("x", 201) + `"}}]}`, action.TargetQuery{}, "", "invalid TargetNameFilter.TargetName: value length must be at most 200 runes"},
		{"an unknown method", `{"filters":[{"targetNameFilter":{"targetName":"x","method":8}}]}`, action.TargetQuery{}, "", "invalid TargetNameFilter.Method: value must be one of the defined enum values"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := targetQuery(read(t, &actionv2.ListTargetsRequest{}, tt.text))
			wantRefusal(t, err, tt.id, tt.message)
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestExecutionQuery(t *testing.T) {
	page := action.Page{Limit: 100}
	for _, tt := range []struct {
		name, text  string
		want        action.ExecutionQuery
		id, message string
	}{
		{"nothing", `{}`, action.ExecutionQuery{Page: page, Sort: action.SortCreated}, "", ""},
		{"by id", `{"sortingColumn":"EXECUTION_FIELD_NAME_ID","pagination":{"asc":true,"limit":5}}`, action.ExecutionQuery{Page: action.Page{Limit: 5, Ascending: true}, Sort: action.SortID}, "", ""},
		{"filters", `{"filters":[{"inConditionsFilter":{"conditions":[{"event":{"group":"user"}},{"request":{"all":true}}]}},{"executionTypeFilter":{"executionType":"EXECUTION_TYPE_FUNCTION"}},{"targetFilter":{"targetId":"t"}}]}`,
			action.ExecutionQuery{Page: page, Sort: action.SortCreated, IDs: [][]action.ExecutionID{{"event/user.*", "request"}}, Kinds: []action.Kind{action.Function}, Targets: []action.TargetID{"t"}}, "", ""},
		{"too long a page", `{"pagination":{"limit":4294967295}}`, action.ExecutionQuery{}, "QUERY-4M0fs", ""},
		{"an unknown column", `{"sortingColumn":-1}`, action.ExecutionQuery{}, "", "invalid ListExecutionsRequest.SortingColumn: value must be one of the defined enum values"},
		{"an empty filter", `{"filters":[{}]}`, action.ExecutionQuery{}, "", "invalid ExecutionSearchFilter.Filter: value is required"},
		{"no conditions", `{"filters":[{"inConditionsFilter":{}}]}`, action.ExecutionQuery{}, "", "values array must not be empty"},
		{"a malformed condition", `{"filters":[{"inConditionsFilter":{"conditions":[{}]}}]}`, action.ExecutionQuery{}, "ACTION-5r5Ju", ""},
		{"an unknown kind", `{"filters":[{"executionTypeFilter":{"executionType":7}}]}`, action.ExecutionQuery{}, "", "invalid ExecutionTypeFilter.ExecutionType: value must be one of the defined enum values"},
		{"no target", `{"filters":[{"targetFilter":{}}]}`, action.ExecutionQuery{}, "", "invalid TargetFilter.TargetId: value length must be between 1 and 200 runes, inclusive"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := executionQuery(read(t, &actionv2.ListExecutionsRequest{}, tt.text))
			wantRefusal(t, err, tt.id, tt.message)
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPublicKeyQuery(t *testing.T) {
	page := action.Page{Limit: 100}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name, text  string
		want        action.PublicKeyQuery
		id, message string
	}{
		{"nothing", `{}`, action.PublicKeyQuery{Page: page, Sort: action.SortCreated}, "", ""},
		{"a page by expiry", `{"sortingColumn":"PUBLIC_KEY_FIELD_NAME_EXPIRATION_DATE","pagination":{"asc":true,"limit":5,"offset":"2"}}`,
			action.PublicKeyQuery{Page: action.Page{Offset: 2, Limit: 5, Ascending: true}, Sort: action.SortExpires}, "", ""},
		{"filters", `{"filters":[{"keyIdsFilter":{"ids":["a","b"]}},{"activeFilter":false},{"expirationDateFilter":{"timestamp":"2026-01-02T03:04:05Z","method":"TIMESTAMP_FILTER_METHOD_BEFORE"}}]}`,
			action.PublicKeyQuery{Page: page, Sort: action.SortCreated, IDs: [][]action.PublicKeyID{{"a", "b"}}, Active: []bool{false},
				Expires: []action.TimeFilter{{Value: at, Match: action.Before}}}, "", ""},
		{"too long a page", `{"pagination":{"limit":1001}}`, action.PublicKeyQuery{}, "QUERY-4M0fs", "Limit exceeded"},
		{"an unknown column", `{"sortingColumn":9}`, action.PublicKeyQuery{}, "", "invalid ListPublicKeysRequest.SortingColumn: value must be one of the defined enum values"},
		{"an empty filter, which its message allows", `{"filters":[{}]}`, action.PublicKeyQuery{}, "GRPC-vR9nC", "List.Query.Invalid"},
		{"no ids", `{"filters":[{"keyIdsFilter":{}}]}`, action.PublicKeyQuery{}, "", "values array must not be empty"},
		{"no time", `{"filters":[{"expirationDateFilter":{}}]}`, action.PublicKeyQuery{}, "", "invalid TimestampFilter.Timestamp: value is required"},
		{"an unknown method", `{"filters":[{"expirationDateFilter":{"timestamp":"2026-01-02T03:04:05Z","method":9}}]}`, action.PublicKeyQuery{}, "",
			"invalid TimestampFilter.Method: value must be one of the defined enum values"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := publicKeyQuery(read(t, &actionv2.ListPublicKeysRequest{}, tt.text))
			wantRefusal(t, err, tt.id, tt.message)
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestEnumsAreComplete: an enum value that is added to the API must be given a meaning.
func TestEnumsAreComplete(t *testing.T) {
	for n := range actionv2.TargetFieldName_name {
		if targetSorts[actionv2.TargetFieldName(n)] == "" {
			t.Errorf("%s", actionv2.TargetFieldName(n))
		}
	}
	for n := range actionv2.ExecutionFieldName_name {
		if executionSorts[actionv2.ExecutionFieldName(n)] == "" {
			t.Errorf("%s", actionv2.ExecutionFieldName(n))
		}
	}
	for n := range actionv2.PublicKeyFieldName_name {
		if publicKeySorts[actionv2.PublicKeyFieldName(n)] == "" {
			t.Errorf("%s", actionv2.PublicKeyFieldName(n))
		}
	}
	for n := range filterv2.TextFilterMethod_name {
		if textMethods[filterv2.TextFilterMethod(n)].match == "" {
			t.Errorf("%s", filterv2.TextFilterMethod(n))
		}
	}
	for n := range filterv2.TimestampFilterMethod_name {
		if timeMethods[filterv2.TimestampFilterMethod(n)] == "" {
			t.Errorf("%s", filterv2.TimestampFilterMethod(n))
		}
	}
	for n := range actionv2.PayloadType_name {
		if _, known := payloadTypes[actionv2.PayloadType(n)]; !known {
			t.Errorf("%s", actionv2.PayloadType(n))
		}
	}
	for n := range actionv2.ExecutionType_name {
		if kind := executionKinds[actionv2.ExecutionType(n)]; n != 0 && kind == "" {
			t.Errorf("%s", actionv2.ExecutionType(n))
		}
	}
}
