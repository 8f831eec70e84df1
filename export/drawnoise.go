package export

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
)

// MaxSeed bounds the seeds of DrawNoise: ONNX keeps a seed as a float32.
const MaxSeed = 1 << 24

// DrawNoise makes a model draw one of its inputs by itself. The input must be
// scanned by one Scan, which must carry a state of the type of one slice; it is
// taken away, and each step of the Scan draws its slice by RandomNormalLike
// with the seed instead. A graph thus stays a function of its noise, which can
// be tested, and the file needs none.
//
// The seed starts a session, not a step: ONNX Runtime's generator goes on from
// step to step and from run to run of one session.
func DrawNoise(m *onnxpb.ModelProto, input string, seed uint32) error {
	g := m.Graph
	wanted := func(what string, args ...any) error {
		return fmt.Errorf("draw input %q in %s: %s", input, g.GetName(), fmt.Sprintf(what, args...))
	}
	if seed >= MaxSeed {
		return wanted("want a seed below %d, not %d", MaxSeed, seed)
	}
	at := slices.IndexFunc(g.Input, func(v *onnxpb.ValueInfoProto) bool { return v.GetName() == input })
	if at < 0 {
		return wanted("there is no such input")
	}
	var users []*onnxpb.NodeProto
	for _, n := range g.Node {
		for _, name := range n.Input {
			if name == input {
				users = append(users, n)
			}
		}
	}
	if len(users) != 1 || users[0].GetOpType() != "Scan" {
		return wanted("want one Scan to use it, once; %d do", len(users))
	}
	scan := users[0]
	var body *onnxpb.GraphProto
	var count *onnxpb.AttributeProto
	for _, a := range scan.Attribute {
		switch a.GetName() {
		case "body":
			body = a.G
		case "num_scan_inputs":
			count = a
		}
	}
	operand := slices.Index(scan.Input, input)
	if body == nil || count == nil || len(body.Input) != len(scan.Input) || count.GetI() < 2 {
		return wanted("want a Scan over it and something else")
	}
	carried := len(scan.Input) - int(count.GetI())
	if operand < carried {
		return wanted("the Scan carries it")
	}
	slice := body.Input[operand]
	like := slices.IndexFunc(body.Input[:carried], func(v *onnxpb.ValueInfoProto) bool { return proto.Equal(v.Type, slice.Type) })
	if like < 0 {
		return wanted("want a state of its type in the Scan")
	}
	draw := &onnxpb.NodeProto{
		OpType: proto.String("RandomNormalLike"), Name: proto.String("RandomNormalLike_" + slice.GetName()),
		Input: []string{body.Input[like].GetName()}, Output: []string{slice.GetName()},
		Attribute: []*onnxpb.AttributeProto{{
			Name: proto.String("seed"), Type: onnxpb.AttributeProto_FLOAT.Enum(), F: proto.Float32(float32(seed)),
		}},
	}
	g.Input = slices.Delete(g.Input, at, at+1)
	scan.Input = slices.Delete(scan.Input, operand, operand+1)
	count.I = proto.Int64(count.GetI() - 1)
	body.Input = slices.Delete(body.Input, operand, operand+1)
	body.Node = slices.Insert(body.Node, 0, draw)
	return nil
}
