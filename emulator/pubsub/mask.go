package pubsub

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// The fields that an update may name. All others of the resource are fixed when it is made, or the server's own.
var (
	topicMutable        = []string{"labels", "message_storage_policy", "message_retention_duration", "schema_settings", "kms_key_name", "ingestion_data_source_settings", "message_transforms"}
	subscriptionMutable = []string{
		"push_config", "ack_deadline_seconds", "retain_acked_messages", "message_retention_duration", "labels", "expiration_policy", "dead_letter_policy",
		"retry_policy", "enable_exactly_once_delivery", "bigquery_config", "cloud_storage_config", "bigtable_config", "message_transforms",
	}
	snapshotMutable = []string{"expire_time", "labels"}
)

// applyMask copies from src to dst what the mask names: a field, or a field of a message in it. A field that src leaves out is cleared.
func applyMask(dst, src proto.Message, mask *fieldmaskpb.FieldMask, mutable []string) error {
	if len(mask.GetPaths()) == 0 {
		return invalid("update_mask", "must name at least one field")
	}
	for _, path := range mask.Paths {
		first, _, _ := strings.Cut(path, ".")
		if !(&fieldmaskpb.FieldMask{Paths: []string{path}}).IsValid(dst) {
			return invalid("update_mask", "names %q, which is no field", clip(path))
		}
		if !slices.Contains(mutable, first) {
			return invalid("update_mask", "names %q, which cannot be changed", clip(path))
		}
	}
	for _, path := range mask.Paths {
		copyPath(dst.ProtoReflect(), proto.Clone(src).ProtoReflect(), strings.Split(path, "."))
	}
	return nil
}

func copyPath(dst, src protoreflect.Message, path []string) {
	field := dst.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	switch {
	case len(path) > 1:
		copyPath(dst.Mutable(field).Message(), src.Get(field).Message(), path[1:])
	case src.Has(field):
		dst.Set(field, src.Get(field))
	default:
		dst.Clear(field)
	}
}
