package main

import (
	"context"
	"errors"
	"flag"
	"net"
	"net/http"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	"github.com/google/uuid"
	"github.com/grafana/pyroscope/api/gen/proto/go/ingester/v1/ingesterv1connect"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"

	"pyroscope-operator.test/e2e/peers/talk"
)

// received is a profile as this ingester got it.
type received struct {
	Tenant   string            `json:"tenant"`
	Protocol string            `json:"protocol"`
	Labels   map[string]string `json:"labels"`
	ID       string            `json:"id"`
	Gzipped  bool              `json:"gzipped"`
	// What the profile says of itself; nothing when it cannot be read.
	Types     []string `json:"types,omitempty"`
	TimeNanos int64    `json:"timeNanos,omitempty"`
	// The sum of the first value of all samples.
	Total     int64    `json:"total,omitempty"`
	Functions []string `json:"functions,omitempty"`
	// Why the push is not what a Go ingester takes.
	Error string `json:"error,omitempty"`
}

// ingester takes pushes and prints what is in them.
type ingester struct {
	ingesterv1connect.UnimplementedIngesterServiceHandler
	out *talk.Printer
}

// serve answers pushes by Connect, gRPC and gRPC-Web on one port until the
// context ends.
func serve(ctx context.Context, args []string, out *talk.Printer) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0", "Address to serve on.")
	if err := flags.Parse(args); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(ingesterv1connect.NewIngesterServiceHandler(&ingester{out: out}))
	server := &http.Server{Handler: mux, Protocols: cleartext()}
	out.Print(map[string]string{"address": listener.Addr().String()})
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// cleartext returns the protocols of the inner hop: HTTP/1 and HTTP/2 without
// TLS.
func cleartext() *http.Protocols {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &protocols
}

// Push prints each profile and refuses the push if one cannot be read.
func (i *ingester) Push(_ context.Context, req *connect.Request[pushv1.PushRequest]) (*connect.Response[pushv1.PushResponse], error) {
	var failed error
	for _, series := range req.Msg.Series {
		labels := map[string]string{}
		for _, pair := range series.Labels {
			labels[pair.Name] = pair.Value
		}
		for _, sample := range series.Samples {
			got := received{
				Tenant:   req.Header().Get("X-Scope-OrgID"),
				Protocol: req.Peer().Protocol,
				Labels:   labels,
				ID:       sample.ID,
			}
			if err := got.read(sample); err != nil {
				got.Error = err.Error()
				failed = connect.NewError(connect.CodeInvalidArgument, err)
			}
			i.out.Print(got)
		}
	}
	if failed != nil {
		return nil, failed
	}
	return connect.NewResponse(&pushv1.PushResponse{}), nil
}

func (r *received) read(sample *pushv1.RawSample) error {
	if _, err := uuid.Parse(sample.ID); err != nil {
		return err
	}
	raw := sample.RawProfile
	r.Gzipped = len(raw) > 1 && raw[0] == 0x1f && raw[1] == 0x8b
	parsed, err := profile.ParseData(raw)
	if err != nil {
		return err
	}
	if err := parsed.CheckValid(); err != nil {
		return err
	}
	r.TimeNanos = parsed.TimeNanos
	for _, one := range parsed.SampleType {
		r.Types = append(r.Types, one.Type+":"+one.Unit)
	}
	for _, one := range parsed.Sample {
		r.Total += one.Value[0]
	}
	for _, one := range parsed.Function {
		r.Functions = append(r.Functions, one.Name)
	}
	return nil
}
