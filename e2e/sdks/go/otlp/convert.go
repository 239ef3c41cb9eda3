package main

import (
	"github.com/google/pprof/profile"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

// dictionary fills the tables that the profiles of a request share. Position 0 of each means none.
type dictionary struct {
	tables    pprofile.ProfilesDictionary
	strings   map[string]int32
	locations map[uint64]int32
}

// convert makes an OpenTelemetry profile of the first sample type of a pprof: Go's are `samples`, as
// those of OpenTelemetry's own profiler.
func convert(from *profile.Profile, resource map[string]string) pprofile.Profiles {
	profiles := pprofile.NewProfiles()
	tables := newDictionary(profiles.Dictionary())
	group := profiles.ResourceProfiles().AppendEmpty()
	for name, value := range resource {
		group.Resource().Attributes().PutStr(name, value)
	}
	to := group.ScopeProfiles().AppendEmpty().Profiles().AppendEmpty()
	tables.valueType(to.SampleType(), from.SampleType[0])
	tables.valueType(to.PeriodType(), from.PeriodType)
	to.SetPeriod(from.Period)
	to.SetTime(pcommon.Timestamp(from.TimeNanos))
	to.SetDurationNano(uint64(from.DurationNanos))
	for _, sample := range from.Sample {
		converted := to.Samples().AppendEmpty()
		converted.SetStackIndex(tables.stack(sample.Location))
		converted.Values().Append(sample.Value[0])
	}
	return profiles
}

func newDictionary(tables pprofile.ProfilesDictionary) dictionary {
	tables.MappingTable().AppendEmpty()
	tables.LocationTable().AppendEmpty()
	tables.FunctionTable().AppendEmpty()
	tables.LinkTable().AppendEmpty()
	tables.AttributeTable().AppendEmpty()
	tables.StackTable().AppendEmpty()
	tables.StringTable().Append("")
	return dictionary{tables, map[string]int32{"": 0}, map[uint64]int32{}}
}

func (d dictionary) valueType(to pprofile.ValueType, from *profile.ValueType) {
	to.SetTypeStrindex(d.string(from.Type))
	to.SetUnitStrindex(d.string(from.Unit))
}

func (d dictionary) string(text string) int32 {
	at, known := d.strings[text]
	if !known {
		at = int32(d.tables.StringTable().Len())
		d.tables.StringTable().Append(text)
		d.strings[text] = at
	}
	return at
}

func (d dictionary) stack(frames []*profile.Location) int32 {
	at := int32(d.tables.StackTable().Len())
	stack := d.tables.StackTable().AppendEmpty()
	for _, frame := range frames {
		stack.LocationIndices().Append(d.location(frame))
	}
	return at
}

func (d dictionary) location(from *profile.Location) int32 {
	at, known := d.locations[from.ID]
	if known {
		return at
	}
	at = int32(d.tables.LocationTable().Len())
	to := d.tables.LocationTable().AppendEmpty()
	to.SetAddress(from.Address)
	for _, line := range from.Line {
		converted := to.Lines().AppendEmpty()
		converted.SetFunctionIndex(d.function(line.Function))
		converted.SetLine(line.Line)
	}
	d.locations[from.ID] = at
	return at
}

func (d dictionary) function(from *profile.Function) int32 {
	at := int32(d.tables.FunctionTable().Len())
	to := d.tables.FunctionTable().AppendEmpty()
	to.SetNameStrindex(d.string(from.Name))
	to.SetSystemNameStrindex(d.string(from.SystemName))
	to.SetFilenameStrindex(d.string(from.Filename))
	to.SetStartLine(from.StartLine)
	return at
}
