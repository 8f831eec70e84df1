package metrics

import (
	"encoding/binary"
	"hash/crc32"
	"maps"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of Event, Summary, Summary.Value, Summary.Image and
// SessionLog, from TensorFlow's event.proto and summary.proto.
const (
	eventWallTime    protowire.Number = 1 // double
	eventStep        protowire.Number = 2 // int64
	eventFileVersion protowire.Number = 3 // string
	eventSummary     protowire.Number = 5
	eventSessionLog  protowire.Number = 7

	summaryValue protowire.Number = 1

	valueTag    protowire.Number = 1
	valueScalar protowire.Number = 2 // float
	valueImage  protowire.Number = 4

	imageHeight     protowire.Number = 1
	imageWidth      protowire.Number = 2
	imageColorspace protowire.Number = 3 // 1 grey, 3 RGB
	imageEncoded    protowire.Number = 4 // PNG

	sessionStatus protowire.Number = 1 // enum
)

// statusStart is SessionLog.START.
const statusStart = 1

// fileVersion must open every file; from version 2 on, TensorBoard heeds
// session starts.
const fileVersion = "brain.Event:2"

func event(wall time.Time, step int64) []byte {
	var b []byte
	b = protowire.AppendTag(b, eventWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(wall.UnixMilli())/1000))
	b = protowire.AppendTag(b, eventStep, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(step))
}

func versionEvent(wall time.Time) []byte {
	b := protowire.AppendTag(event(wall, 0), eventFileVersion, protowire.BytesType)
	return protowire.AppendString(b, fileVersion)
}

// startEvent says that a session starts whose first step is step.
func startEvent(wall time.Time, step int64) []byte {
	var log []byte
	log = protowire.AppendTag(log, sessionStatus, protowire.VarintType)
	log = protowire.AppendVarint(log, statusStart)
	return appendMessage(event(wall, step), eventSessionLog, log)
}

func scalarsEvent(r Record) []byte {
	var summary []byte
	for _, tag := range slices.Sorted(maps.Keys(r.Values)) {
		var value []byte
		value = protowire.AppendTag(value, valueTag, protowire.BytesType)
		value = protowire.AppendString(value, tag)
		value = protowire.AppendTag(value, valueScalar, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(float32(r.Values[tag])))
		summary = appendMessage(summary, summaryValue, value)
	}
	return appendMessage(event(r.Time, r.Step), eventSummary, summary)
}

func imageEvent(wall time.Time, step int64, tag string, png []byte, width, height int, grey bool) []byte {
	colorspace := uint64(3)
	if grey {
		colorspace = 1
	}
	var image []byte
	image = protowire.AppendTag(image, imageHeight, protowire.VarintType)
	image = protowire.AppendVarint(image, uint64(height))
	image = protowire.AppendTag(image, imageWidth, protowire.VarintType)
	image = protowire.AppendVarint(image, uint64(width))
	image = protowire.AppendTag(image, imageColorspace, protowire.VarintType)
	image = protowire.AppendVarint(image, colorspace)
	image = appendMessage(image, imageEncoded, png)
	var value []byte
	value = protowire.AppendTag(value, valueTag, protowire.BytesType)
	value = protowire.AppendString(value, tag)
	value = appendMessage(value, valueImage, image)
	return appendMessage(event(wall, step), eventSummary, appendMessage(nil, summaryValue, value))
}

func appendMessage(b []byte, field protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), message)
}

// appendFramed appends data as one TFRecord.
func appendFramed(b, data []byte) []byte {
	table := crc32.MakeTable(crc32.Castagnoli)
	start := len(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, masked(crc32.Checksum(b[start:], table)))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, masked(crc32.Checksum(data, table)))
}

// masked is TFRecord's transformation of a checksum, which keeps a checksum
// of data that hold checksums from being a constant.
func masked(crc uint32) uint32 {
	return (crc>>15 | crc<<17) + 0xa282ead8
}
