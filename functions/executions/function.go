package executions

import (
	"net/http"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/api"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
)

func init() { functions.HTTP("executions", host.FrameworkHTTP(Function())) }

// Function is the deployable.
func Function() host.Function {
	const service, beta = "/zitadel.action.v2.ActionService/", "/zitadel.action.v2beta.ActionService/"
	return host.Function{
		Name:    "executions",
		Trigger: host.HTTP,
		Paths: []string{
			service + "SetExecution", service + "ListExecutions", service + "ListExecutionFunctions",
			service + "ListExecutionMethods", service + "ListExecutionServices",
			"/v2/actions/executions", "/v2/actions/executions/",
			beta + "SetExecution", beta + "ListExecutions", beta + "ListExecutionFunctions",
			beta + "ListExecutionMethods", beta + "ListExecutionServices",
			"/v2beta/actions/executions", "/v2beta/actions/executions/",
			"/openapi.json", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/", "/grpc.health.v1.Health/",
		},
		HTTP: func(c *env.Clients) (http.Handler, error) {
			catalogue, err := action.BuiltinCatalogue(c.Config.Catalog)
			if err != nil {
				return nil, err
			}
			border := api.Border{Guard: c.Guard, Log: c.Log}
			executions, err := border.ServeExecutions(&Operations{Store: c.Store, Catalogue: catalogue})
			if err != nil {
				return nil, err
			}
			return api.Described(executions, c.Stopping), nil
		},
	}
}
