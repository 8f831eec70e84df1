package samples

import (
	"fmt"
	"testing"
)

func FuzzParseShardName(f *testing.F) {
	for _, name := range []string{"000000000000+16.0123abcd.npy", "000000000016+1.00000000.npy", "16+1.0.npy", "-00000000001+1.00000000.npy",
		"000000000000+0.00000000.npy", "000000000000+16.0123abcd.npy.bak", "note.txt", ""} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		s, ok := parseShardName(name)
		if ok && (fmt.Sprintf(shardName, s.first, s.count, s.sum) != name || s.first < 0 || s.count < 1 || s.first+s.count < 1) {
			t.Errorf("%q is read as %+v", name, s)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	for _, text := range []string{`{"schedule":"exp","steps":5,"seed":18446744073709551615,"first":0,"count":3,"describe":{"net":"res6"}}`,
		`{"count":0}`, `{"count":1,"first":-1}`, `{"color":1}`, `[]`, ``} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRecord(data)
		if err == nil && len(r.differences(r)) != 0 {
			t.Errorf("%s differs from itself", data)
		}
	})
}

func FuzzParseTrace(f *testing.F) {
	for _, text := range []string{`{"chains":1,"temperature":[1,2],"energy":[[3,4]],"snapshots":[0]}`,
		`{"chains":2,"temperature":[1],"energy":[[3]]}`, `{"chains":1,"temperature":[1],"energy":[[]]}`, `{"chains":0}`, `nonsense`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		trace, err := parseTrace(data)
		if err != nil {
			return
		}
		p := Process{Temperature: trace.Temperature, Energy: trace.Energy}
		if mean := p.MeanEnergy(); mean != nil && len(mean) != len(trace.Temperature) {
			t.Errorf("%s has %d mean energies", data, len(mean))
		}
		if _, err := trace.split(nil, nil); err == nil {
			t.Error("no arrays, no error")
		}
	})
}
