package api

import (
	"context"
	"net/http"

	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	"github.com/callout-dev/callout/shared/gen/zitadel/action/v2/actionv2connect"
	actionv2beta "github.com/callout-dev/callout/shared/gen/zitadel/action/v2beta"
	"github.com/callout-dev/callout/shared/gen/zitadel/action/v2beta/actionv2betaconnect"
)

// actionFace is one function's part of the ActionService; what it does not serve is Unimplemented.
type actionFace interface {
	actionv2.ActionServiceServer
	actionv2connect.ActionServiceHandler
}

// action serves a part of the ActionService over all protocols: face is v2, and beta is what v2beta is made of.
func (b Border) action(face, beta actionFace) (http.Handler, error) {
	gateway := b.newGateway(false)
	if err := actionv2.RegisterActionServiceHandlerServer(context.Background(), gateway, face); err != nil {
		return nil, err
	}
	former := &betaFace{face: beta}
	if err := actionv2beta.RegisterActionServiceHandlerServer(context.Background(), gateway, former); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	path, procedures := actionv2connect.NewActionServiceHandler(face, b.connectOptions(MaxBody))
	mux.Handle(path, onlyMethods(actionv2.ActionService_ServiceDesc, procedures))
	path, procedures = actionv2betaconnect.NewActionServiceHandler(former, b.connectOptions(MaxBody))
	mux.Handle(path, onlyMethods(actionv2beta.ActionService_ServiceDesc, procedures))
	mux.Handle("/", bounded(MaxBody, gateway))
	return b.Authenticated(mux), nil
}
