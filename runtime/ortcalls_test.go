package runtime

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	ort "github.com/yalue/onnxruntime_go"
)

// TestCallsMatchTheHeader compiles ortcalls.h beside the header of the binding, which is
// of the version of ONNX Runtime's interface that both ask the library for: each call has
// its place and its type there.
func TestCallsMatchTheHeader(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	const code = `
#include "onnxruntime_c_api.h"
#include "ortcalls.h"
_Static_assert(EBM_API == ORT_API_VERSION, "the version of the interface");
#define CHECK(at, result, name, args) \
	_Static_assert(offsetof(OrtApi, name) == (at) * sizeof(void *), #name); \
	result (*check_##name(const OrtApi *api)) args { return api->name; }
EBM_CALLS(CHECK)
`
	source := filepath.Join(t.TempDir(), "calls.c")
	if err := os.WriteFile(source, []byte(code), 0o666); err != nil {
		t.Fatal(err)
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	check := func(extra ...string) ([]byte, error) {
		args := append([]string{"-fsyntax-only", "-Werror", "-I", strings.TrimSpace(string(out)), "-I", here, source}, extra...)
		return exec.Command(cc, args...).CombinedOutput()
	}
	if said, err := check(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	// The check finds what differs.
	wrong := strings.Replace(code, "(at) *", "(at + 1) *", 1)
	if err := os.WriteFile(source, []byte(wrong), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := check(); err == nil {
		t.Error("wrong places compile")
	}
}

// TestBindingKeepsItsPointers holds the binding to the fields that are read.
func TestBindingKeepsItsPointers(t *testing.T) {
	r := open(t)
	s := load(t, r, affine(t))
	if _, err := sessionPointer(s.ort); err != nil {
		t.Error(err)
	}
	o, err := ort.NewSessionOptions()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Destroy()
	if _, err := inside(o, "o"); err != nil {
		t.Error(err)
	}
	if _, err := inside(o, "gone"); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("a field that is not there: error %v, want its name", err)
	}
	tensor, err := ort.NewTensor(ort.NewShape(1), []float32{1})
	if err != nil {
		t.Fatal(err)
	}
	defer tensor.Destroy()
	kept, err := inside(tensor.GetInternals(), "ortValue")
	if err != nil {
		t.Fatal(err)
	}
	given := (&deviceValue{p: valuePointer(kept)}).GetInternals()
	if got, err := inside(given, "ortValue"); err != nil || got != kept {
		t.Error(fmt.Errorf("internals hold %p (%w), want %p", got, err, kept))
	}
}
