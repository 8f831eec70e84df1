package runtime

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
	"ebm/models/tensor"
)

func scan(data []byte) (inputs, outputs []ValueInfo, err error) {
	m, err := scanModel(context.Background(), bytes.NewReader(data), int64(len(data)))
	return m.Inputs, m.Outputs, err
}

func TestScanModel(t *testing.T) {
	noShape := &onnxpb.ValueInfoProto{Name: str("free"), Type: &onnxpb.TypeProto{
		Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(f32))}}}}
	sequence := &onnxpb.ValueInfoProto{Name: str("list"), Type: &onnxpb.TypeProto{
		Value: &onnxpb.TypeProto_SequenceType{SequenceType: &onnxpb.TypeProto_Sequence{}}}}
	data := model(t,
		infos{val("x", f32, "N", 1, nil, 32), val("w", f32, 2), val("k", i64), noShape, sequence},
		infos{val("y", onnxpb.TensorProto_DOUBLE, "N", -1)},
		[]*onnxpb.TensorProto{weights("w", []int64{2}, 1, 2)})
	in, out, err := scan(data)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range append(in, out...) {
		got = append(got, v.Name+" "+v.String())
	}
	want := []string{"x float32[N 1 ? 32]", "k int64[]", "free float32 of any shape", "list invalid of any shape", "y float64[N ?]"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if in[1].Shape == nil || in[2].Shape != nil {
		t.Errorf("shapes of a scalar %v and of anything %v", in[1].Shape, in[2].Shape)
	}
}

func TestResolve(t *testing.T) {
	sizes := symbols{"N": {7, "x"}}
	for _, c := range []struct {
		info ValueInfo
		want string
	}{
		{ValueInfo{DType: tensor.Float32, Shape: []int{-1, 3}, Symbols: []string{"N", ""}}, "[7 3] true"},
		{ValueInfo{DType: tensor.Float32, Shape: []int{-1, 3}, Symbols: []string{"M", ""}}, "[] false"},
		{ValueInfo{DType: tensor.Float32, Shape: []int{-1, 3}, Symbols: []string{"", ""}}, "[] false"},
		{ValueInfo{DType: tensor.Float32}, "[] false"},
		{ValueInfo{DType: tensor.Float32, Shape: []int{}, Symbols: []string{}}, "[] true"},
		{ValueInfo{DType: tensor.Float32, Shape: []int{1 << 62, 1 << 62}, Symbols: []string{"", ""}},
			"[4611686018427387904 4611686018427387904] false"},
		{ValueInfo{DType: tensor.Float32, Shape: []int{0, 1 << 40}, Symbols: []string{"", ""}}, "[0 1099511627776] false"},
	} {
		shape, ok := resolve(c.info, sizes)
		if got := fmt.Sprint(shape, ok); got != c.want {
			t.Errorf("%v: %s, want %s", c.info, got, c.want)
		}
	}
}

// FuzzScanModel holds that any bytes are either described or refused, and what
// is described of a model agrees with a full decoding of it.
func FuzzScanModel(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("no model at all"))
	f.Add(affine(f))
	f.Add(affine(f)[:50])
	f.Add(step(f))
	f.Add(endless(f))
	f.Add([]byte{7<<3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, data []byte) {
		in, out, err := scan(data)
		if err != nil {
			return
		}
		for _, v := range append(in, out...) {
			if len(v.Shape) != len(v.Symbols) {
				t.Errorf("%d dimensions and %d symbols of %+v", len(v.Shape), len(v.Symbols), v)
			}
			_ = v.String()
		}
		var full onnxpb.ModelProto
		if proto.Unmarshal(data, &full) != nil {
			return // the scan passes over fields that it does not need
		}
		if got, want := len(out), len(full.GetGraph().GetOutput()); got != want {
			t.Errorf("%d outputs, a full decoding has %d", got, want)
		}
	})
}
