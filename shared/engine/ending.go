package engine

import (
	"errors"
	"slices"

	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/telemetry"
)

// ending is the word for how a hook ended, for metrics.
func ending(r Result, err error) string {
	switch {
	case err == nil && r.Execution == "":
		return telemetry.HookUnmatched
	case err == nil && slices.ContainsFunc(r.Calls, func(c Called) bool { return c.Outcome != Success && c.Outcome != Queued }):
		return telemetry.HookDegraded
	case err == nil:
		return telemetry.HookSuccess
	case errors.Is(err, canceled), len(r.Calls) == 0 && errs.Is(err, errs.Canceled):
		return telemetry.HookCanceled
	case len(r.Calls) > 0: // the last one ended the chain
		return endings[r.Calls[len(r.Calls)-1].Outcome]
	case errs.Is(err, errs.InvalidArgument), errs.Is(err, errs.TooLarge):
		return telemetry.HookInvalid
	default:
		return telemetry.HookError
	}
}

// endings are those of hooks that a target stopped, by what became of its call.
var endings = map[Outcome]string{
	Rejected: telemetry.HookRejected,
	Failed:   telemetry.HookFailed,
	Timeout:  telemetry.HookTimeout,
}
