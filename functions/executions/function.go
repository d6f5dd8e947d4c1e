package executions

import (
	"net/http"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

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
		Paths: append(catalogPaths(),
			service+"SetExecution", service+"ListExecutions", service+"ListExecutionFunctions",
			service+"ListExecutionMethods", service+"ListExecutionServices",
			"/v2/actions/executions", "/v2/actions/executions/",
			beta+"SetExecution", beta+"ListExecutions", beta+"ListExecutionFunctions",
			beta+"ListExecutionMethods", beta+"ListExecutionServices",
			"/v2beta/actions/executions", "/v2beta/actions/executions/",
			"/openapi.json", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/", "/grpc.health.v1.Health/",
		),
		HTTP: func(c *env.Clients) (http.Handler, error) {
			border := api.Border{Guard: c.Guard, Log: c.Log}
			operations := &Operations{Store: c.Store, Catalogues: c.Catalogues}
			actions, err := border.ServeExecutions(operations)
			if err != nil {
				return nil, err
			}
			names, err := border.ServeCatalog(operations)
			if err != nil {
				return nil, err
			}
			mux := http.NewServeMux()
			mux.Handle("/", api.Described(actions, c.Stopping))
			for _, path := range catalogPaths() {
				mux.Handle(path, names)
			}
			return mux, nil
		},
	}
}

func catalogPaths() []string {
	return []string{"/callout.v1.CatalogService/", "/v1/catalog", "/v1/catalog/"}
}
