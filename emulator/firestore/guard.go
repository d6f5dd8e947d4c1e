package firestore

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
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

// Handler serves DELETE /emulator/v1/projects/{project}/databases/{database}/documents, which clears a database, as users of Google's
// emulator know it. It is for a loopback port; a request from a web page is refused.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("DELETE /emulator/v1/projects/{project}/databases/{database}/documents", s.serveClear)
	return mux
}

func (s *Server) serveClear(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "" {
		http.Error(w, "requests from web pages are not served", http.StatusForbidden)
		return
	}
	database, err := url.PathUnescape(r.PathValue("database"))
	if err != nil || strings.Contains(database, "/") {
		http.Error(w, "the name of the database is malformed", http.StatusBadRequest)
		return
	}
	db, err := resource.ParseDatabase("projects/" + r.PathValue("project") + "/databases/" + database)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := s.Clear(r.Context(), string(db)); err != nil {
		code := http.StatusInternalServerError
		if c := status.Code(err); c == codes.Unavailable || c == codes.ResourceExhausted {
			code = http.StatusServiceUnavailable
		}
		http.Error(w, message(err), code)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte("{}\n"))
}
