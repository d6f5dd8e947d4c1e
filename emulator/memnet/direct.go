package memnet

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Direct answers unary calls of a client connection by the handlers of services in the same process, without a transport: most of the
// processor time of a small call is the transport's. Streams go the connection's usual way, so services are registered with a grpc.Server
// too. Register everything before the first call.
//
// What holds for calls over a network holds here: client and server share no message, errors are statuses, outgoing metadata is incoming at
// the handler, and a caller whose context ends waits no longer. Headers and trailers that handlers send are lost, and server interceptors
// are not run.
type Direct struct {
	// Workers run the handlers. MaxRequestBytes refuses larger requests with ResourceExhausted; 0 is 4 MiB, as grpc.Server's default.
	MaxRequestBytes int
	Workers         *Workers

	methods map[string]method
}

// method is one unary method and the service that has it.
type method struct {
	service any
	handle  grpc.MethodHandler
}

// RegisterService implements grpc.ServiceRegistrar.
func (d *Direct) RegisterService(desc *grpc.ServiceDesc, service any) {
	if d.methods == nil {
		d.methods = map[string]method{}
	}
	for _, m := range desc.Methods {
		d.methods["/"+desc.ServiceName+"/"+m.MethodName] = method{service: service, handle: m.Handler}
	}
}

// Intercept is a grpc.UnaryClientInterceptor. Methods that nobody registered go the connection's usual way.
func (d *Direct) Intercept(ctx context.Context, name string, req, reply any, conn *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	m, ok := d.methods[name]
	in, isIn := req.(proto.Message)
	out, isOut := reply.(proto.Message)
	if !ok || !isIn || !isOut {
		return next(ctx, name, req, reply, conn, opts...)
	}
	if err := d.checkSize(in); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return status.FromContextError(err).Err()
	}
	in = proto.Clone(in)
	if ctx.Done() == nil {
		res, err := m.call(ctx, in)
		return answer(out, res, err)
	}
	type result struct {
		res any
		err error
	}
	done := make(chan result, 1)
	d.Workers.Go(func() {
		res, err := m.call(ctx, in)
		done <- result{res, err}
	})
	select {
	case r := <-done:
		return answer(out, r.res, r.err)
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

func (d *Direct) checkSize(in proto.Message) error {
	most := d.MaxRequestBytes
	if most == 0 {
		most = 4 << 20
	}
	if n := proto.Size(in); n > most {
		return status.Errorf(codes.ResourceExhausted, "received message larger than max (%d vs. %d)", n, most)
	}
	return nil
}

// call runs the handler on in, whose fields become the handler's own.
func (m method) call(ctx context.Context, in proto.Message) (any, error) {
	md, _ := metadata.FromOutgoingContext(ctx)
	ctx = metadata.NewOutgoingContext(metadata.NewIncomingContext(ctx, md), nil)
	return m.handle(m.service, ctx, func(request any) error {
		move(request.(proto.Message).ProtoReflect(), in.ProtoReflect())
		return nil
	}, nil)
}

// move makes dst what src is, without copying what it refers to.
func move(dst, src protoreflect.Message) {
	src.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		dst.Set(f, v)
		return true
	})
}

// answer gives the handler's answer to the client, and makes an error of it a status. It goes through the wire form, because a handler may
// share its answer with others, and may have put encoded fields into it that only decoding shows.
func answer(out proto.Message, res any, err error) error {
	if err == nil {
		return recode(out, res.(proto.Message))
	}
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	return status.FromContextError(err).Err() // Unknown for what is no context's
}

func recode(out, res proto.Message) error {
	wire, err := proto.Marshal(res)
	if err == nil {
		err = proto.Unmarshal(wire, out)
	}
	if err != nil {
		return status.Errorf(codes.Internal, "answer: %v", err)
	}
	return nil
}
