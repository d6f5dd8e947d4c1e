package api

import (
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	filterv2 "github.com/callout-dev/callout/shared/gen/zitadel/filter/v2"
)

// errNoFilter is for a filter that says nothing, where the message itself may be empty (actions-v2.md section 2).
var errNoFilter = errs.New(errs.InvalidArgument, "GRPC-vR9nC", "List.Query.Invalid")

var publicKeySorts = map[actionv2.PublicKeyFieldName]action.Sort{
	actionv2.PublicKeyFieldName_PUBLIC_KEY_FIELD_NAME_UNSPECIFIED:     action.SortCreated,
	actionv2.PublicKeyFieldName_PUBLIC_KEY_FIELD_NAME_CREATION_DATE:   action.SortCreated,
	actionv2.PublicKeyFieldName_PUBLIC_KEY_FIELD_NAME_CHANGE_DATE:     action.SortChanged,
	actionv2.PublicKeyFieldName_PUBLIC_KEY_FIELD_NAME_EXPIRATION_DATE: action.SortExpires,
}

var timeMethods = map[filterv2.TimestampFilterMethod]action.TimeMatch{
	filterv2.TimestampFilterMethod_TIMESTAMP_FILTER_METHOD_EQUALS:           action.At,
	filterv2.TimestampFilterMethod_TIMESTAMP_FILTER_METHOD_AFTER:            action.After,
	filterv2.TimestampFilterMethod_TIMESTAMP_FILTER_METHOD_AFTER_OR_EQUALS:  action.AtOrAfter,
	filterv2.TimestampFilterMethod_TIMESTAMP_FILTER_METHOD_BEFORE:           action.Before,
	filterv2.TimestampFilterMethod_TIMESTAMP_FILTER_METHOD_BEFORE_OR_EQUALS: action.AtOrBefore,
}

func publicKeyQuery(r *actionv2.ListPublicKeysRequest) (action.PublicKeyQuery, error) {
	var q action.PublicKeyQuery
	var err error
	if q.Page, err = page(r.GetPagination()); err != nil {
		return q, err
	}
	var known bool
	if q.Sort, known = publicKeySorts[r.GetSortingColumn()]; !known {
		return q, invalid("ListPublicKeysRequest", "SortingColumn", "value must be one of the defined enum values")
	}
	for _, f := range r.GetFilters() {
		if err := addPublicKeyFilter(&q, f); err != nil {
			return q, err
		}
	}
	return q, nil
}

func addPublicKeyFilter(q *action.PublicKeyQuery, f *actionv2.PublicKeySearchFilter) error {
	switch f := f.GetFilter().(type) {
	case *actionv2.PublicKeySearchFilter_KeyIdsFilter:
		if len(f.KeyIdsFilter.GetIds()) == 0 {
			return errEmptyList
		}
		var ids []action.PublicKeyID
		for _, id := range f.KeyIdsFilter.GetIds() {
			ids = append(ids, action.PublicKeyID(id))
		}
		q.IDs = append(q.IDs, ids)
	case *actionv2.PublicKeySearchFilter_ActiveFilter:
		q.Active = append(q.Active, f.ActiveFilter)
	case *actionv2.PublicKeySearchFilter_ExpirationDateFilter:
		t, err := timeFilter(f.ExpirationDateFilter)
		if err != nil {
			return err
		}
		q.Expires = append(q.Expires, t)
	default:
		return errNoFilter
	}
	return nil
}

func timeFilter(f *filterv2.TimestampFilter) (action.TimeFilter, error) {
	const message = "TimestampFilter"
	method, known := timeMethods[f.GetMethod()]
	switch {
	case !known:
		return action.TimeFilter{}, invalid(message, "Method", "value must be one of the defined enum values")
	case f.GetTimestamp() == nil:
		return action.TimeFilter{}, invalid(message, "Timestamp", "value is required")
	case f.GetTimestamp().CheckValid() != nil:
		return action.TimeFilter{}, invalid(message, "Timestamp", "value is not a valid timestamp")
	}
	return action.TimeFilter{Value: f.GetTimestamp().AsTime(), Match: method}, nil
}
