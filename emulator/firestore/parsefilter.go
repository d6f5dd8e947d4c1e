package firestore

import (
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/firestore/internal/value"
)

// parseFilter checks a condition; nil for none.
func parseFilter(db resource.Database, in *pb.StructuredQuery_Filter, depth int) (filter, error) {
	if in == nil {
		return nil, nil
	}
	if depth > maxDepth {
		return nil, invalid("where: filters are nested more than %d deep", maxDepth)
	}
	var f filter
	var err error
	switch x := in.GetFilterType().(type) {
	case *pb.StructuredQuery_Filter_FieldFilter:
		f, err = parseField(x.FieldFilter)
	case *pb.StructuredQuery_Filter_UnaryFilter:
		f, err = parseUnary(x.UnaryFilter)
	case *pb.StructuredQuery_Filter_CompositeFilter:
		f, err = parseComposite(db, x.CompositeFilter, depth)
	default:
		return nil, invalid("where: a filter has no type that is known")
	}
	if err != nil || depth > 0 {
		return f, err
	}
	all := leaves(f)
	if len(all) > maxFilters {
		return nil, invalid("where: %d comparisons; at most %d are allowed", len(all), maxFilters)
	}
	if _, ok := disjunctions(f); !ok {
		return nil, invalid("where: more than %d alternatives", maxDisjunctions)
	}
	return f, checkCombination(all)
}

// checkCombination refuses what the documentation says cannot stand in one query.
func checkCombination(all []*leaf) error {
	seen := map[op]int{}
	for _, f := range all {
		seen[f.op]++
	}
	switch {
	case seen[notIn] > 1:
		return invalid("where: NOT_IN is allowed once")
	case seen[notIn] > 0 && seen[notEqual] > 0:
		return invalid("where: NOT_IN and NOT_EQUAL cannot stand together")
	case seen[notEqual] > 1:
		return invalid("where: NOT_EQUAL is allowed once")
	}
	return nil
}

func parseComposite(db resource.Database, in *pb.StructuredQuery_CompositeFilter, depth int) (filter, error) {
	if len(in.GetFilters()) == 0 {
		return nil, invalid("where: a composite filter is empty")
	}
	var parts []filter
	for _, p := range in.GetFilters() {
		f, err := parseFilter(db, p, depth+1)
		if err != nil {
			return nil, err
		}
		parts = append(parts, f)
	}
	switch in.GetOp() {
	case pb.StructuredQuery_CompositeFilter_AND:
		return and(parts), nil
	case pb.StructuredQuery_CompositeFilter_OR:
		return or(parts), nil
	}
	return nil, invalid("where: operator %v is not known", in.GetOp())
}

func parseField(in *pb.StructuredQuery_FieldFilter) (*leaf, error) {
	ops := map[pb.StructuredQuery_FieldFilter_Operator]op{
		pb.StructuredQuery_FieldFilter_LESS_THAN:             less,
		pb.StructuredQuery_FieldFilter_LESS_THAN_OR_EQUAL:    lessOrEqual,
		pb.StructuredQuery_FieldFilter_GREATER_THAN:          greater,
		pb.StructuredQuery_FieldFilter_GREATER_THAN_OR_EQUAL: greaterOrEqual,
		pb.StructuredQuery_FieldFilter_EQUAL:                 equal,
		pb.StructuredQuery_FieldFilter_NOT_EQUAL:             notEqual,
		pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS:        arrayContains,
		pb.StructuredQuery_FieldFilter_IN:                    isIn,
		pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS_ANY:    arrayContainsAny,
		pb.StructuredQuery_FieldFilter_NOT_IN:                notIn,
	}
	o, ok := ops[in.GetOp()]
	if !ok {
		return nil, invalid("where: operator %v is not known", in.GetOp())
	}
	path, err := resource.ParseFieldPath(in.GetField().GetFieldPath())
	if err != nil {
		return nil, invalid("where: %v", err)
	}
	f := &leaf{path: path, text: path.String(), op: o, value: in.GetValue()}
	if value.ClassOf(f.value) == 0 {
		return nil, invalid("where: field %s is compared with nothing that can be compared", f.text)
	}
	return f, f.check()
}

func (f *leaf) check() error {
	values := []*pb.Value{f.value}
	switch f.op {
	case isIn, notIn, arrayContainsAny:
		if value.ClassOf(f.value) != value.Array {
			return invalid("where: field %s: the operator needs an array of values", f.text)
		}
		values = f.value.GetArrayValue().GetValues()
		switch n := len(values); {
		case n == 0:
			return invalid("where: field %s: the array of values is empty", f.text)
		case f.op == notIn && n > 10:
			return invalid("where: field %s: NOT_IN takes at most 10 values", f.text)
		case n > maxDisjunctions:
			return invalid("where: field %s: at most %d values are allowed", f.text, maxDisjunctions)
		}
	}
	if !f.path.IsDocumentID() {
		return nil
	}
	if f.op == arrayContains || f.op == arrayContainsAny {
		return invalid("where: %s is no array", resource.DocumentID)
	}
	for _, v := range values {
		if value.ClassOf(v) != value.Reference {
			return invalid("where: %s is compared with something that is no reference", resource.DocumentID)
		}
		if _, _, err := resource.ParseDocument(v.GetReferenceValue()); err != nil {
			return invalid("where: %v", err)
		}
	}
	return nil
}

func parseUnary(in *pb.StructuredQuery_UnaryFilter) (*leaf, error) {
	path, err := resource.ParseFieldPath(in.GetField().GetFieldPath())
	if err != nil {
		return nil, invalid("where: %v", err)
	}
	if path.IsDocumentID() {
		return nil, invalid("where: %s is never null or NaN", resource.DocumentID)
	}
	f := &leaf{path: path, text: path.String()}
	switch in.GetOp() {
	case pb.StructuredQuery_UnaryFilter_IS_NULL:
		f.op, f.value = equal, null
	case pb.StructuredQuery_UnaryFilter_IS_NAN:
		f.op, f.value = equal, nan
	case pb.StructuredQuery_UnaryFilter_IS_NOT_NULL:
		f.op, f.value = notEqual, null
	case pb.StructuredQuery_UnaryFilter_IS_NOT_NAN:
		f.op, f.value = notEqual, nan
	default:
		return nil, invalid("where: operator %v is not known", in.GetOp())
	}
	return f, nil
}
