package main

import (
	"context"
	"log"
	"slices"
	"time"

	"connectrpc.com/connect"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
)

// found is what the queries answered.
type found struct {
	ProfileTypes []string            `json:"profileTypes"`
	LabelNames   []string            `json:"labelNames"`
	LabelValues  []string            `json:"labelValues"`
	Series       []map[string]string `json:"series"`
	// Of the flame graph: all, and what is in computeChecksums.
	Total int64 `json:"total"`
	Busy  int64 `json:"busy"`
	// Sum of the points of SelectSeries.
	Points float64 `json:"points"`
	// Of the merged profile: all, and what is in computeChecksums.
	MergedTotal int64   `json:"mergedTotal"`
	MergedBusy  int64   `json:"mergedBusy"`
	Refused     refusal `json:"refused"`
}

// refusal is an error of the server.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Details int    `json:"details"`
}

const busy = "main.computeChecksums"

func query(querier querierv1connect.QuerierServiceClient, selector string) found {
	start, end := time.Now().Add(-time.Hour).UnixMilli(), time.Now().Add(time.Minute).UnixMilli()
	matchers := []string{selector}
	var found found

	types := call(querier.ProfileTypes, &querierv1.ProfileTypesRequest{Start: start, End: end})
	for _, profileType := range types.ProfileTypes {
		found.ProfileTypes = append(found.ProfileTypes, profileType.ID)
	}
	names := call(querier.LabelNames, &typesv1.LabelNamesRequest{Matchers: matchers, Start: start, End: end})
	found.LabelNames = names.Names
	values := call(querier.LabelValues, &typesv1.LabelValuesRequest{
		Name: "protocol", Matchers: matchers, Start: start, End: end,
	})
	found.LabelValues = values.Names
	series := call(querier.Series, &querierv1.SeriesRequest{
		Matchers: matchers, LabelNames: []string{"service_name", "protocol"}, Start: start, End: end,
	})
	for _, labels := range series.LabelsSet {
		found.Series = append(found.Series, toMap(labels))
	}

	graph := call(querier.SelectMergeStacktraces, &querierv1.SelectMergeStacktracesRequest{
		ProfileTypeID: cpu, LabelSelector: selector, Start: start, End: end,
	}).Flamegraph
	found.Total, found.Busy = graph.Total, inGraph(graph, busy)
	points := call(querier.SelectSeries, &querierv1.SelectSeriesRequest{
		ProfileTypeID: cpu, LabelSelector: selector, Start: start, End: end, Step: 15,
	})
	for _, series := range points.Series {
		for _, point := range series.Points {
			found.Points += point.Value
		}
	}
	merged := call(querier.SelectMergeProfile, &querierv1.SelectMergeProfileRequest{
		ProfileTypeID: cpu, LabelSelector: selector, Start: start, End: end,
	})
	found.MergedTotal, found.MergedBusy = inProfile(merged, busy)
	return found
}

// call ends the program unless the method answers.
func call[In, Out any](method func(context.Context, *connect.Request[In]) (*connect.Response[Out], error), in *In) *Out {
	out, err := method(context.Background(), connect.NewRequest(in))
	if err != nil {
		log.Fatalf("%T: %v", in, err)
	}
	return out.Msg
}

func toMap(labels *typesv1.Labels) map[string]string {
	pairs := map[string]string{}
	for _, label := range labels.Labels {
		pairs[label.Name] = label.Value
	}
	return pairs
}

// inGraph sums the nodes of a function, each four numbers: distance, total, self, name.
func inGraph(graph *querierv1.FlameGraph, function string) (sum int64) {
	name := slices.Index(graph.Names, function)
	for _, level := range graph.Levels {
		for node := range slices.Chunk(level.Values, 4) {
			if node[3] == int64(name) {
				sum += node[1]
			}
		}
	}
	return sum
}

// inProfile sums all samples, and those that have a function in their stack.
func inProfile(profile *googlev1.Profile, function string) (total, within int64) {
	functions := map[uint64]string{}
	for _, f := range profile.Function {
		functions[f.Id] = profile.StringTable[f.Name]
	}
	calls := map[uint64]bool{}
	for _, location := range profile.Location {
		for _, line := range location.Line {
			calls[location.Id] = calls[location.Id] || functions[line.FunctionId] == function
		}
	}
	for _, sample := range profile.Sample {
		total += sample.Value[0]
		if slices.ContainsFunc(sample.LocationId, func(id uint64) bool { return calls[id] }) {
			within += sample.Value[0]
		}
	}
	return total, within
}
