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
// step to step and from run to run of one session. See CountNoise for noise that
// depends on the sample and the step alone.
func DrawNoise(m *onnxpb.ModelProto, input string, seed uint32) error {
	if seed >= MaxSeed {
		return wantedOfNoise(m, input, fmt.Sprintf("want a seed below %d, not %d", MaxSeed, seed))
	}
	s, err := findScanned(m, input)
	if err != nil {
		return err
	}
	draw := &onnxpb.NodeProto{
		OpType: proto.String("RandomNormalLike"), Name: proto.String("RandomNormalLike_" + s.slice.GetName()),
		Input: []string{s.state.GetName()}, Output: []string{s.slice.GetName()},
		Attribute: []*onnxpb.AttributeProto{{
			Name: proto.String("seed"), Type: onnxpb.AttributeProto_FLOAT.Enum(), F: proto.Float32(float32(seed)),
		}},
	}
	s.remove(m.Graph)
	s.body.Node = slices.Insert(s.body.Node, 0, draw)
	return nil
}

// scanned is an input of a model that one Scan takes slice by slice.
type scanned struct {
	at, operand  int // the input's places in the model and the Scan
	scan         *onnxpb.NodeProto
	body         *onnxpb.GraphProto
	count        *onnxpb.AttributeProto // the number of inputs that the Scan scans
	value        *onnxpb.ValueInfoProto // the input
	slice, state *onnxpb.ValueInfoProto // in the body: a slice, and a state of its type
}

func wantedOfNoise(m *onnxpb.ModelProto, input, what string) error {
	return fmt.Errorf("draw input %q in %s: %s", input, m.Graph.GetName(), what)
}

// findScanned finds an input that only a Scan uses, which scans something else too and
// carries a state of the type of one slice.
func findScanned(m *onnxpb.ModelProto, input string) (*scanned, error) {
	g := m.Graph
	s := &scanned{at: slices.IndexFunc(g.Input, func(v *onnxpb.ValueInfoProto) bool { return v.GetName() == input })}
	if s.at < 0 {
		return nil, wantedOfNoise(m, input, "there is no such input")
	}
	s.value = g.Input[s.at]
	var users []*onnxpb.NodeProto
	for _, n := range g.Node {
		for _, name := range n.Input {
			if name == input {
				users = append(users, n)
			}
		}
	}
	if len(users) != 1 || users[0].GetOpType() != "Scan" {
		return nil, wantedOfNoise(m, input, fmt.Sprintf("want one Scan to use it, once; %d do", len(users)))
	}
	s.scan = users[0]
	for _, a := range s.scan.Attribute {
		switch a.GetName() {
		case "body":
			s.body = a.G
		case "num_scan_inputs":
			s.count = a
		}
	}
	s.operand = slices.Index(s.scan.Input, input)
	if s.body == nil || s.count == nil || len(s.body.Input) != len(s.scan.Input) || s.count.GetI() < 2 {
		return nil, wantedOfNoise(m, input, "want a Scan over it and something else")
	}
	carried := len(s.scan.Input) - int(s.count.GetI())
	if s.operand < carried {
		return nil, wantedOfNoise(m, input, "the Scan carries it")
	}
	s.slice = s.body.Input[s.operand]
	like := slices.IndexFunc(s.body.Input[:carried], func(v *onnxpb.ValueInfoProto) bool { return proto.Equal(v.Type, s.slice.Type) })
	if like < 0 {
		return nil, wantedOfNoise(m, input, "want a state of its type in the Scan")
	}
	s.state = s.body.Input[like]
	return s, nil
}

// remove takes the input away from the model, the Scan and its body.
func (s *scanned) remove(g *onnxpb.GraphProto) {
	g.Input = slices.Delete(g.Input, s.at, s.at+1)
	s.scan.Input = slices.Delete(s.scan.Input, s.operand, s.operand+1)
	s.count.I = proto.Int64(s.count.GetI() - 1)
	s.body.Input = slices.Delete(s.body.Input, s.operand, s.operand+1)
}
