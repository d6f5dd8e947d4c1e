package api

import (
	"context"
	"net/http"

	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	"github.com/callout-dev/callout/shared/gen/zitadel/action/v2/actionv2connect"
)

// actionFace is one function's part of the ActionService; what it does not serve is Unimplemented.
type actionFace interface {
	actionv2.ActionServiceServer
	actionv2connect.ActionServiceHandler
}

// action serves a part of the ActionService over all protocols.
func (b Border) action(face actionFace) (http.Handler, error) {
	gateway := b.newGateway(false)
	if err := actionv2.RegisterActionServiceHandlerServer(context.Background(), gateway, face); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	path, procedures := actionv2connect.NewActionServiceHandler(face, b.connectOptions(MaxBody))
	mux.Handle(path, onlyMethods(actionv2.ActionService_ServiceDesc, procedures))
	mux.Handle("/", bounded(gateway))
	return b.Authenticated(mux), nil
}
