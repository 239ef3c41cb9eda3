// Otlp profiles itself with the Go runtime and exports that as an OpenTelemetry profile, made and sent
// with the collector's packages, by the transport that its argument names.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/google/pprof/profile"
	"go.opentelemetry.io/collector/pdata/pprofile/pprofileotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	transport := os.Args[1]
	server, service := os.Getenv("PYROSCOPE_SERVER_ADDRESS"), os.Getenv("PYROSCOPE_APPLICATION_NAME")
	recorded, err := profile.Parse(profileMyself(time.Second))
	if err != nil {
		log.Fatal(err)
	}
	request := pprofileotlp.NewExportRequestFromProfiles(convert(recorded, map[string]string{
		"service.name": service,
		"region":       "eu-north",
		"transport":    transport,
	}))
	switch transport {
	case "grpc":
		err = exportByGRPC(strings.TrimPrefix(server, "http://"), request)
	case "http-protobuf":
		err = exportByHTTP(server, "application/x-protobuf", request.MarshalProto)
	case "http-json":
		err = exportByHTTP(server, "application/json", request.MarshalJSON)
	default:
		err = fmt.Errorf("unknown transport %q", transport)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func exportByGRPC(address string, request pprofileotlp.ExportRequest) error {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = pprofileotlp.NewGRPCClient(connection).Export(context.Background(), request)
	return err
}

func exportByHTTP(server, contentType string, marshal func() ([]byte, error)) error {
	body, err := marshal()
	if err != nil {
		return err
	}
	answer, err := http.Post(server+"/v1development/profiles", contentType, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	return nil
}

func profileMyself(while time.Duration) io.Reader {
	var recorded bytes.Buffer
	if err := pprof.StartCPUProfile(&recorded); err != nil {
		log.Fatal(err)
	}
	multiplyNumbers(time.Now().Add(while))
	pprof.StopCPUProfile()
	return &recorded
}

var sink uint64

//go:noinline
func multiplyNumbers(until time.Time) {
	for time.Now().Before(until) {
		for i := range uint64(1 << 16) {
			sink = sink*6364136223846793005 + i
		}
	}
}
