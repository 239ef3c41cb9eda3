package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	"github.com/google/uuid"
	"github.com/grafana/pyroscope/api/gen/proto/go/ingester/v1/ingesterv1connect"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"

	"pyroscope-operator.test/e2e/peers/talk"
)

// pushed is how a push ended.
type pushed struct {
	OK    bool   `json:"ok"`
	Code  string `json:"code,omitempty"`
	Error string `json:"error,omitempty"`
}

// push sends one profile as a Go distributor does: split, with an ID of its own
// and gzipped.
func push(ctx context.Context, args []string, out *talk.Printer) error {
	flags := flag.NewFlagSet("push", flag.ContinueOnError)
	address := flags.String("address", "", "host:port of the ingester.")
	protocol := flags.String("protocol", "connect", "connect, grpc or grpcweb.")
	tenant := flags.String("tenant", "anonymous", "Tenant of the profile.")
	service := flags.String("service", "app", "Service name of the profile.")
	value := flags.Int64("value", 1, "Value of its only sample.")
	id := flags.String("id", "", "UUID of the profile; empty makes one.")
	broken := flags.Bool("broken", false, "Send what is no profile.")
	at := flags.Int64("time-nanos", time.Now().UnixNano(), "Time of the profile.")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var options []connect.ClientOption
	switch *protocol {
	case "connect":
	case "grpc":
		options = append(options, connect.WithGRPC())
	case "grpcweb":
		options = append(options, connect.WithGRPCWeb())
	default:
		return fmt.Errorf("unknown protocol %q", *protocol)
	}
	raw, err := pprof(*value, *at)
	if err != nil {
		return err
	}
	if *broken {
		raw = []byte("no profile")
	}
	if *id == "" {
		*id = uuid.NewString()
	}
	request := connect.NewRequest(&pushv1.PushRequest{Series: []*pushv1.RawProfileSeries{{
		Labels: []*typesv1.LabelPair{
			{Name: "__delta__", Value: "false"},
			{Name: "__name__", Value: "process_cpu"},
			{Name: "service_name", Value: *service},
		},
		Samples: []*pushv1.RawSample{{RawProfile: raw, ID: *id}},
	}}})
	request.Header().Set("X-Scope-OrgID", *tenant)
	client := ingesterv1connect.NewIngesterServiceClient(httpClient(*protocol), "http://"+*address, options...)
	_, err = client.Push(ctx, request)
	result := pushed{OK: err == nil}
	if err != nil {
		result.Error = err.Error()
	}
	var refused *connect.Error
	if errors.As(err, &refused) {
		result.Code = refused.Code().String()
	}
	out.Print(result)
	return nil
}

// httpClient returns a client of the HTTP version that the protocol has between
// Go nodes: gRPC needs HTTP/2, Connect goes over HTTP/1.
func httpClient(protocol string) *http.Client {
	if protocol != "grpc" {
		return http.DefaultClient
	}
	var http2 http.Protocols
	http2.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{Protocols: &http2}}
}

// pprof returns a gzipped CPU profile with one sample.
func pprof(value, timeNanos int64) ([]byte, error) {
	function := &profile.Function{ID: 1, Name: "from_go"}
	location := &profile.Location{ID: 1, Line: []profile.Line{{Function: function, Line: 1}}}
	nanoseconds := &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}
	made := &profile.Profile{
		SampleType: []*profile.ValueType{nanoseconds},
		Sample:     []*profile.Sample{{Location: []*profile.Location{location}, Value: []int64{value}}},
		Location:   []*profile.Location{location},
		Function:   []*profile.Function{function},
		TimeNanos:  timeNanos,
		PeriodType: nanoseconds,
		Period:     1,
	}
	var buffer bytes.Buffer
	if err := made.Write(&buffer); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}
