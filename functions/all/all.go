// Package all is the table of functions, and the only list of them.
package all

import (
	"fmt"

	"github.com/callout-dev/callout/functions/console"
	"github.com/callout-dev/callout/functions/deliver"
	"github.com/callout-dev/callout/functions/deliveries"
	"github.com/callout-dev/callout/functions/dispatch"
	"github.com/callout-dev/callout/functions/executions"
	"github.com/callout-dev/callout/functions/invoke"
	"github.com/callout-dev/callout/functions/keys"
	"github.com/callout-dev/callout/functions/publish"
	"github.com/callout-dev/callout/functions/sweep"
	"github.com/callout-dev/callout/functions/targets"
	"github.com/callout-dev/callout/shared/host"
)

// Functions lists every function.
func Functions() []host.Function {
	return []host.Function{
		targets.Function(),
		executions.Function(),
		invoke.Function(),
		publish.Function(),
		dispatch.Function(),
		deliver.Function(),
		sweep.Function(),
		deliveries.Function(),
		keys.Function(),
		console.Function(),
	}
}

// Select gives the function of that name, or all of them for "".
func Select(name string) ([]host.Function, error) {
	if name == "" {
		return Functions(), nil
	}
	var names []string
	for _, f := range Functions() {
		if f.Name == name {
			return []host.Function{f}, nil
		}
		names = append(names, f.Name)
	}
	return nil, fmt.Errorf("FUNCTION_TARGET: there is no function %q; there are %q", name, names)
}
