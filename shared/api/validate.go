package api

import (
	"fmt"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/shared/errs"
)

// The checks of this file word what they find as clients of the reference know it (actions-v2.md section 3.2): "invalid
// Message.Field: reason", without an id.

func invalid(message, field, reason string) error {
	return errs.Newf(errs.InvalidArgument, "invalid %s.%s: %s", message, field, reason)
}

func checkLength(message, field, value string, low, high int) error {
	if n := utf8.RuneCountInString(value); n < low || n > high {
		return invalid(message, field, fmt.Sprintf("value length must be between %d and %d runes, inclusive", low, high))
	}
	return nil
}

// checkGiven is checkLength from 1 on, for a field whose emptiness the domain refuses under an id.
func checkGiven(message, field, value string, high int) error {
	if value == "" {
		return nil
	}
	return checkLength(message, field, value, 1, high)
}

func checkMaxLength(message, field, value string, high int) error {
	if utf8.RuneCountInString(value) > high {
		return invalid(message, field, fmt.Sprintf("value length must be at most %d runes", high))
	}
	return nil
}

// checkDuration wants low to high, both included; nil passes.
func checkDuration(message, field string, d *durationpb.Duration, low, high time.Duration) error {
	if d == nil {
		return nil
	}
	if err := d.CheckValid(); err != nil || d.AsDuration() < low || d.AsDuration() > high {
		return invalid(message, field, fmt.Sprintf("value must be inside range [%s, %s]", low, high))
	}
	return nil
}
