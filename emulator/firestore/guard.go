package firestore

import (
	"context"
	"fmt"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// guarded is the service with every method behind the same door: no request from a browser's page, no error that tells too much, no
// panic that ends the process.
func (s *Server) guarded(d grpc.ServiceDesc) grpc.ServiceDesc {
	methods := make([]grpc.MethodDesc, len(d.Methods))
	for i, m := range d.Methods {
		serve := m.Handler
		methods[i] = grpc.MethodDesc{MethodName: m.MethodName, Handler: func(srv any, ctx context.Context, decode func(any) error, icept grpc.UnaryServerInterceptor) (out any, err error) {
			err = s.guard(ctx, m.MethodName, func() error {
				out, err = serve(srv, ctx, decode, icept)
				return err
			})
			return out, err
		}}
	}
	streams := make([]grpc.StreamDesc, len(d.Streams))
	for i, m := range d.Streams {
		serve := m.Handler
		m.Handler = func(srv any, stream grpc.ServerStream) error {
			return s.guard(stream.Context(), m.StreamName, func() error { return serve(srv, stream) })
		}
		streams[i] = m
	}
	d.Methods, d.Streams = methods, streams
	return d
}

func (s *Server) guard(ctx context.Context, method string, serve func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.log.ErrorContext(ctx, "firestore: panic", "method", method, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "internal error")
		}
		s.counts.add(method, err)
	}()
	if md, _ := metadata.FromIncomingContext(ctx); len(md.Get("origin")) > 0 {
		return status.Error(codes.PermissionDenied, "requests from web pages are not served")
	}
	return s.fail(ctx, serve())
}
