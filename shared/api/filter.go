package api

import (
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	filterv2 "github.com/callout-dev/callout/shared/gen/zitadel/filter/v2"
)

// Lists, filters, sorting and paging (actions-v2.md section 2).

var errEmptyList = errs.Newf(errs.InvalidArgument, "values array must not be empty")

func page(p *filterv2.PaginationRequest) (action.Page, error) {
	return action.Page{Offset: p.GetOffset(), Limit: p.GetLimit(), Ascending: p.GetAsc()}.Complete()
}

var targetSorts = map[actionv2.TargetFieldName]action.Sort{
	actionv2.TargetFieldName_TARGET_FIELD_NAME_UNSPECIFIED:        action.SortCreated,
	actionv2.TargetFieldName_TARGET_FIELD_NAME_ID:                 action.SortID,
	actionv2.TargetFieldName_TARGET_FIELD_NAME_CREATED_DATE:       action.SortCreated,
	actionv2.TargetFieldName_TARGET_FIELD_NAME_CHANGED_DATE:       action.SortChanged,
	actionv2.TargetFieldName_TARGET_FIELD_NAME_NAME:               action.SortName,
	actionv2.TargetFieldName_TARGET_FIELD_NAME_TARGET_TYPE:        action.SortType,
	actionv2.TargetFieldName_TARGET_FIELD_NAME_URL:                action.SortEndpoint,
	actionv2.TargetFieldName_TARGET_FIELD_NAME_TIMEOUT:            action.SortTimeout,
	actionv2.TargetFieldName_TARGET_FIELD_NAME_INTERRUPT_ON_ERROR: action.SortInterrupt,
}

func targetQuery(r *actionv2.ListTargetsRequest) (action.TargetQuery, error) {
	const message = "TargetSearchFilter"
	var q action.TargetQuery
	var err error
	if q.Page, err = page(r.GetPagination()); err != nil {
		return q, err
	}
	var known bool
	if q.Sort, known = targetSorts[r.GetSortingColumn()]; !known {
		return q, invalid("ListTargetsRequest", "SortingColumn", "value must be one of the defined enum values")
	}
	for _, f := range r.GetFilters() {
		switch f := f.GetFilter().(type) {
		case *actionv2.TargetSearchFilter_TargetNameFilter:
			name, err := nameFilter(f.TargetNameFilter)
			if err != nil {
				return q, err
			}
			q.Names = append(q.Names, name)
		case *actionv2.TargetSearchFilter_InTargetIdsFilter:
			if len(f.InTargetIdsFilter.GetTargetIds()) == 0 {
				return q, errEmptyList
			}
			q.IDs = append(q.IDs, targetIDs(f.InTargetIdsFilter.GetTargetIds()))
		default:
			return q, invalid(message, "Filter", "value is required")
		}
	}
	return q, nil
}

type textMethod struct {
	match      action.TextMatch
	ignoreCase bool
}

var textMethods = map[filterv2.TextFilterMethod]textMethod{
	filterv2.TextFilterMethod_TEXT_FILTER_METHOD_EQUALS:                  {action.Equals, false},
	filterv2.TextFilterMethod_TEXT_FILTER_METHOD_EQUALS_IGNORE_CASE:      {action.Equals, true},
	filterv2.TextFilterMethod_TEXT_FILTER_METHOD_STARTS_WITH:             {action.StartsWith, false},
	filterv2.TextFilterMethod_TEXT_FILTER_METHOD_STARTS_WITH_IGNORE_CASE: {action.StartsWith, true},
	filterv2.TextFilterMethod_TEXT_FILTER_METHOD_CONTAINS:                {action.Contains, false},
	filterv2.TextFilterMethod_TEXT_FILTER_METHOD_CONTAINS_IGNORE_CASE:    {action.Contains, true},
	filterv2.TextFilterMethod_TEXT_FILTER_METHOD_ENDS_WITH:               {action.EndsWith, false},
	filterv2.TextFilterMethod_TEXT_FILTER_METHOD_ENDS_WITH_IGNORE_CASE:   {action.EndsWith, true},
}

func nameFilter(f *actionv2.TargetNameFilter) (action.NameFilter, error) {
	if err := checkMaxLength("TargetNameFilter", "TargetName", f.GetTargetName(), maxID); err != nil {
		return action.NameFilter{}, err
	}
	method, known := textMethods[f.GetMethod()]
	if !known {
		return action.NameFilter{}, invalid("TargetNameFilter", "Method", "value must be one of the defined enum values")
	}
	return action.NameFilter{Value: f.GetTargetName(), Match: method.match, IgnoreCase: method.ignoreCase}, nil
}

func targetIDs(texts []string) []action.TargetID {
	ids := make([]action.TargetID, len(texts))
	for i, t := range texts {
		ids[i] = action.TargetID(t)
	}
	return ids
}

var executionSorts = map[actionv2.ExecutionFieldName]action.Sort{
	actionv2.ExecutionFieldName_EXECUTION_FIELD_NAME_UNSPECIFIED:  action.SortCreated,
	actionv2.ExecutionFieldName_EXECUTION_FIELD_NAME_ID:           action.SortID,
	actionv2.ExecutionFieldName_EXECUTION_FIELD_NAME_CREATED_DATE: action.SortCreated,
	actionv2.ExecutionFieldName_EXECUTION_FIELD_NAME_CHANGED_DATE: action.SortChanged,
}

var executionKinds = map[actionv2.ExecutionType]action.Kind{
	actionv2.ExecutionType_EXECUTION_TYPE_REQUEST:  action.Request,
	actionv2.ExecutionType_EXECUTION_TYPE_RESPONSE: action.Response,
	actionv2.ExecutionType_EXECUTION_TYPE_EVENT:    action.Event,
	actionv2.ExecutionType_EXECUTION_TYPE_FUNCTION: action.Function,
}

func executionQuery(r *actionv2.ListExecutionsRequest) (action.ExecutionQuery, error) {
	var q action.ExecutionQuery
	var err error
	if q.Page, err = page(r.GetPagination()); err != nil {
		return q, err
	}
	var known bool
	if q.Sort, known = executionSorts[r.GetSortingColumn()]; !known {
		return q, invalid("ListExecutionsRequest", "SortingColumn", "value must be one of the defined enum values")
	}
	for _, f := range r.GetFilters() {
		if err := addExecutionFilter(&q, f); err != nil {
			return q, err
		}
	}
	return q, nil
}

func addExecutionFilter(q *action.ExecutionQuery, f *actionv2.ExecutionSearchFilter) error {
	switch f := f.GetFilter().(type) {
	case *actionv2.ExecutionSearchFilter_InConditionsFilter:
		if len(f.InConditionsFilter.GetConditions()) == 0 {
			return errEmptyList
		}
		var ids []action.ExecutionID
		for _, m := range f.InConditionsFilter.GetConditions() {
			c, err := Condition(m)
			if err != nil {
				return err
			}
			ids = append(ids, c.ID())
		}
		q.IDs = append(q.IDs, ids)
	case *actionv2.ExecutionSearchFilter_ExecutionTypeFilter:
		kind, known := executionKinds[f.ExecutionTypeFilter.GetExecutionType()]
		if !known {
			return invalid("ExecutionTypeFilter", "ExecutionType", "value must be one of the defined enum values")
		}
		q.Kinds = append(q.Kinds, kind)
	case *actionv2.ExecutionSearchFilter_TargetFilter:
		if err := checkLength("TargetFilter", "TargetId", f.TargetFilter.GetTargetId(), 1, maxID); err != nil {
			return err
		}
		q.Targets = append(q.Targets, action.TargetID(f.TargetFilter.GetTargetId()))
	default:
		return invalid("ExecutionSearchFilter", "Filter", "value is required")
	}
	return nil
}
