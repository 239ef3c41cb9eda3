// Api profiles itself with the Go runtime, pushes that and queries it back, all with the generated
// clients of github.com/grafana/pyroscope/api, by the protocol that its argument names. What came
// back is printed as JSON; a call that fails ends the program.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"runtime/pprof"
	"time"

	"connectrpc.com/connect"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
)

const cpu = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"

// options of the clients by the name of the protocol.
var options = map[string][]connect.ClientOption{
	"connect-json":  {connect.WithProtoJSON()},
	"connect-proto": {connect.WithSendGzip()},
	"grpc":          {connect.WithGRPC(), connect.WithSendGzip()},
	"grpc-web":      {connect.WithGRPCWeb()},
}

func main() {
	protocol := os.Args[1]
	server, service := os.Getenv("PYROSCOPE_SERVER_ADDRESS"), os.Getenv("PYROSCOPE_APPLICATION_NAME")
	chosen, known := options[protocol]
	if !known {
		log.Fatalf("unknown protocol %q", protocol)
	}
	client := &http.Client{Transport: transport(protocol), Timeout: 10 * time.Second}
	push := pushv1connect.NewPusherServiceClient(client, server, chosen...)
	querier := querierv1connect.NewQuerierServiceClient(client, server, chosen...)

	labels := []*typesv1.LabelPair{
		{Name: "__name__", Value: "process_cpu"},
		{Name: "service_name", Value: service},
		{Name: "protocol", Value: protocol},
	}
	pushProfile(push, labels, profileMyself(time.Second))
	found := query(querier, `{service_name="`+service+`",protocol="`+protocol+`"}`)
	found.Refused = pushGarbage(push, labels)
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		log.Fatal(err)
	}
}

// transport returns one that speaks HTTP/2 without TLS where the protocol needs it.
func transport(protocol string) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(protocol != "grpc")
	protocols.SetUnencryptedHTTP2(protocol == "grpc")
	return &http.Transport{Protocols: &protocols}
}

func profileMyself(while time.Duration) []byte {
	var profile bytes.Buffer
	if err := pprof.StartCPUProfile(&profile); err != nil {
		log.Fatal(err)
	}
	computeChecksums(time.Now().Add(while))
	pprof.StopCPUProfile()
	return profile.Bytes()
}

var sink uint64

//go:noinline
func computeChecksums(until time.Time) {
	for time.Now().Before(until) {
		for i := range uint64(1 << 16) {
			sink = sink*6364136223846793005 + i
		}
	}
}

func pushProfile(push pushv1connect.PusherServiceClient, labels []*typesv1.LabelPair, profile []byte) {
	_, err := push.Push(context.Background(), connect.NewRequest(request(labels, profile)))
	if err != nil {
		log.Fatalf("Push: %v", err)
	}
}

// pushGarbage returns the error that it gets.
func pushGarbage(push pushv1connect.PusherServiceClient, labels []*typesv1.LabelPair) refusal {
	_, err := push.Push(context.Background(), connect.NewRequest(request(labels, []byte("no profile"))))
	var refused *connect.Error
	if err == nil {
		log.Fatal("Push: what is no profile was accepted")
	} else if refused, _ = err.(*connect.Error); refused == nil {
		log.Fatalf("Push: %v is no error of connect", err)
	}
	return refusal{Code: refused.Code().String(), Message: refused.Message(), Details: len(refused.Details())}
}

func request(labels []*typesv1.LabelPair, profile []byte) *pushv1.PushRequest {
	return &pushv1.PushRequest{Series: []*pushv1.RawProfileSeries{{
		Labels:  labels,
		Samples: []*pushv1.RawSample{{RawProfile: profile}},
	}}}
}
