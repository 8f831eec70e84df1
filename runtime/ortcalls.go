package runtime

/*
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif
#include "ortcalls.h"

#define DECLARE(at, result, name, args) \
	typedef result (*ebm_type_##name) args; \
	enum { ebm_at_##name = at };
EBM_CALLS(DECLARE)

// ORT is a call of the table.
#define ORT(name) ((ebm_type_##name)table[ebm_at_##name])

typedef struct { const void *(*get_api)(uint32_t); const char *(*version)(void); } ebm_base;

// ebm_table returns the table of calls of the library at path, which the process
// has loaded already, or NULL.
static void **ebm_table(const char *path) {
#ifdef _WIN32
	wchar_t wide[32768];
	if (!MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, 32768)) return NULL;
	HMODULE library = LoadLibraryW(wide);
	const ebm_base *(*base)(void) = library ? (const ebm_base *(*)(void))(void *)GetProcAddress(library, "OrtGetApiBase") : NULL;
#else
	void *library = dlopen(path, RTLD_LAZY);
	const ebm_base *(*base)(void) = library ? (const ebm_base *(*)(void))dlsym(library, "OrtGetApiBase") : NULL;
#endif
	return base ? (void **)base()->get_api(EBM_API) : NULL;
}

static const char *ebm_message(void **table, OrtStatus *s) { return ORT(GetErrorMessage)(s); }
static void ebm_free_status(void **table, OrtStatus *s) { ORT(ReleaseStatus)(s); }

// The environment is the process's one, and counts its users.
static OrtStatus *ebm_env(void **table, OrtEnv **env) { return ORT(CreateEnv)(4, "ebm", env); }
static void ebm_free_env(void **table, OrtEnv *env) { ORT(ReleaseEnv)(env); }

static OrtStatus *ebm_devices(void **table, OrtEnv *env, const OrtEpDevice *const **list, size_t *n) {
	return ORT(GetEpDevices)(env, list, n);
}

static OrtStatus *ebm_run_entry(void **table, void *options, const char *key, const char *value) {
	return ORT(AddRunConfigEntry)(options, key, value);
}

typedef struct { const char *provider, *vendor; unsigned kind; uint32_t vendor_id, device_id; } ebm_device;

static ebm_device ebm_describe(void **table, const OrtEpDevice *d) {
	const OrtHardwareDevice *h = ORT(EpDevice_Device)(d);
	ebm_device r = { ORT(EpDevice_EpName)(d), ORT(HardwareDevice_Vendor)(h), ORT(HardwareDevice_Type)(h),
		ORT(HardwareDevice_VendorId)(h), ORT(HardwareDevice_DeviceId)(h) };
	return r;
}

static void ebm_metadata(void **table, const OrtEpDevice *d, int of_hardware, const char *const **keys, const char *const **values,
		size_t *n) {
	ORT(GetKeyValuePairs)(of_hardware ? ORT(HardwareDevice_Metadata)(ORT(EpDevice_Device)(d)) : ORT(EpDevice_EpMetadata)(d), keys, values, n);
}

static OrtStatus *ebm_append(void **table, OrtEnv *env, void *options, const OrtEpDevice *d, char **keys, char **values, size_t n) {
	return ORT(SessionOptionsAppendExecutionProvider_V2)(options, env, &d, 1, (const char *const *)keys, (const char *const *)values, n);
}

static OrtStatus *ebm_shared_allocator(void **table, OrtEnv *env, const OrtEpDevice *d, OrtAllocator **a) {
	const OrtMemoryInfo *m = ORT(EpDevice_MemoryInfo)(d, 0);
	*a = NULL;
	return m ? ORT(GetSharedAllocator)(env, m, a) : NULL;
}

static OrtStatus *ebm_session_allocator(void **table, void *session, const char *memory, int device, OrtAllocator **a) {
	OrtMemoryInfo *m;
	OrtStatus *s = ORT(CreateMemoryInfo)(memory, 0, device, 0, &m);
	if (s) return s;
	s = ORT(CreateAllocator)(session, m, a);
	ORT(ReleaseMemoryInfo)(m);
	return s;
}
static void ebm_free_allocator(void **table, OrtAllocator *a) { ORT(ReleaseAllocator)(a); }

// ebm_places says of each input or output whether it lies in a device's memory.
static OrtStatus *ebm_places(void **table, void *session, int of_outputs, size_t n, unsigned *on_device) {
	const OrtMemoryInfo **list = calloc(n + 1, sizeof *list);
	OrtStatus *s = of_outputs ? ORT(SessionGetMemoryInfoForOutputs)(session, list, n) : ORT(SessionGetMemoryInfoForInputs)(session, list, n);
	for (size_t i = 0; !s && i < n; i++) {
		on_device[i] = 0;
		if (list[i]) ORT(MemoryInfoGetDeviceType)(list[i], &on_device[i]);
	}
	free(list);
	return s;
}

static OrtStatus *ebm_allocate(void **table, OrtAllocator *a, const int64_t *shape, size_t rank, unsigned type, OrtValue **v) {
	return ORT(CreateTensorAsOrtValue)(a, shape, rank, type, v);
}

// ebm_wrap makes a value of memory that is there, in the host or in a device.
static OrtStatus *ebm_wrap(void **table, const char *memory, int device, void *data, size_t bytes, const int64_t *shape, size_t rank,
		unsigned type, OrtValue **v) {
	OrtMemoryInfo *m;
	OrtStatus *s = ORT(CreateMemoryInfo)(memory, 0, device, 0, &m);
	if (s) return s;
	s = ORT(CreateTensorWithDataAsOrtValue)(m, data, bytes, shape, rank, type, v);
	ORT(ReleaseMemoryInfo)(m);
	return s;
}
static OrtStatus *ebm_data(void **table, OrtValue *v, void **data) { return ORT(GetTensorMutableData)(v, data); }
static void ebm_free_value(void **table, OrtValue *v) { ORT(ReleaseValue)(v); }

static OrtStatus *ebm_copy(void **table, OrtEnv *env, const OrtValue *from, OrtValue *to) {
	return ORT(CopyTensors)(env, &from, &to, NULL, 1);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	goruntime "runtime"
	"slices"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"ebm/models/tensor"
)

// calls is the part of ONNX Runtime's C interface that the binding lacks, for the
// library and the environment that the binding uses.
type calls struct {
	table *unsafe.Pointer
	env   *C.OrtEnv
}

// openCalls finds the calls of the library at path, which the binding has loaded.
func openCalls(path string) (*calls, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	c := &calls{table: C.ebm_table(name)}
	if c.table == nil {
		return nil, fmt.Errorf("%s: no version %d of ONNX Runtime's interface", path, C.EBM_API)
	}
	return c, c.check(C.ebm_env(c.table, &c.env))
}

func (c *calls) close() { C.ebm_free_env(c.table, c.env) }

// check returns the error of a call, and frees it.
func (c *calls) check(s *C.OrtStatus) error {
	if s == nil {
		return nil
	}
	defer C.ebm_free_status(c.table, s)
	return errors.New(C.GoString(C.ebm_message(c.table, s)))
}

// epDevice is a device that a plugin provider can compute on.
type epDevice struct {
	p                  *C.OrtEpDevice
	provider, vendor   string
	gpu                bool
	vendorID, deviceID uint32
	metadata           map[string]string // of the provider and of the hardware
}

// devices lists the devices of all providers that are registered.
func (c *calls) devices() ([]epDevice, error) {
	var list **C.OrtEpDevice
	var n C.size_t
	if err := c.check(C.ebm_devices(c.table, c.env, (***C.OrtEpDevice)(unsafe.Pointer(&list)), &n)); err != nil {
		return nil, err
	}
	var found []epDevice
	for _, p := range unsafe.Slice(list, int(n)) {
		d := C.ebm_describe(c.table, p)
		e := epDevice{p: p, provider: C.GoString(d.provider), vendor: C.GoString(d.vendor), gpu: d.kind == 1,
			vendorID: uint32(d.vendor_id), deviceID: uint32(d.device_id), metadata: make(map[string]string)}
		for hardware := range 2 {
			var keys, values **C.char
			C.ebm_metadata(c.table, p, C.int(hardware), (***C.char)(unsafe.Pointer(&keys)), (***C.char)(unsafe.Pointer(&values)), &n)
			for i, key := range unsafe.Slice(keys, int(n)) {
				e.metadata[C.GoString(key)] = C.GoString(unsafe.Slice(values, int(n))[i])
			}
		}
		found = append(found, e)
	}
	return found, nil
}

// append adds a plugin provider's device to a session's options, with options of the
// provider's own.
func (c *calls) append(o *ort.SessionOptions, d epDevice, options map[string]string) error {
	pointer, err := inside(o, "o")
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(options))
	keys, values := make([]*C.char, len(names)+1), make([]*C.char, len(names)+1)
	var pin goruntime.Pinner
	defer pin.Unpin()
	pin.Pin(&keys[0])
	pin.Pin(&values[0])
	for i, name := range names {
		keys[i], values[i] = C.CString(name), C.CString(options[name])
		defer C.free(unsafe.Pointer(keys[i]))
		defer C.free(unsafe.Pointer(values[i]))
	}
	return c.check(C.ebm_append(c.table, c.env, pointer, d.p, &keys[0], &values[0], C.size_t(len(names))))
}

// runEntry sets a configuration entry of runs.
func (c *calls) runEntry(o *ort.RunOptions, key, value string) error {
	pointer, err := inside(o, "o")
	if err != nil {
		return err
	}
	k, v := C.CString(key), C.CString(value)
	defer C.free(unsafe.Pointer(k))
	defer C.free(unsafe.Pointer(v))
	return c.check(C.ebm_run_entry(c.table, pointer, k, v))
}

// inside returns the pointer that a struct of the binding keeps in a field.
// TestBindingKeepsItsPointers holds the fields to be there.
func inside(of any, field string) (unsafe.Pointer, error) {
	v := reflect.ValueOf(of).Elem().FieldByName(field)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return nil, fmt.Errorf("a %T without its %s: this version of onnxruntime_go is not known", of, field)
	}
	return v.UnsafePointer(), nil
}

// sessionPointer returns ONNX Runtime's session.
func sessionPointer(s *ort.DynamicAdvancedSession) (unsafe.Pointer, error) {
	inner, err := inside(s, "s")
	if err != nil {
		return nil, err
	}
	return inside((*ort.AdvancedSession)(inner), "ortSession")
}

// allocator allocates memory of a device.
type allocator struct{ p *C.OrtAllocator }

// shared returns the allocator of a plugin provider's device, which belongs to the
// environment.
func (c *calls) shared(d epDevice) (allocator, error) {
	var a allocator
	err := c.check(C.ebm_shared_allocator(c.table, c.env, d.p, &a.p))
	if err == nil && a.p == nil {
		err = errors.New("the device has no memory of its own")
	}
	return a, err
}

// allocatorOf returns a session's allocator for memory of a name, which the caller
// frees before the session.
func (c *calls) allocatorOf(s *ort.DynamicAdvancedSession, memory string, device int) (allocator, error) {
	pointer, err := sessionPointer(s)
	if err != nil {
		return allocator{}, err
	}
	name := C.CString(memory)
	defer C.free(unsafe.Pointer(name))
	var a allocator
	return a, c.check(C.ebm_session_allocator(c.table, pointer, name, C.int(device), &a.p))
}

func (c *calls) freeAllocator(a allocator) { C.ebm_free_allocator(c.table, a.p) }

// places says of each of a session's inputs, or outputs, whether its place is the
// memory of a device.
func (c *calls) places(s *ort.DynamicAdvancedSession, outputs bool, n int) ([]bool, error) {
	pointer, err := sessionPointer(s)
	if err != nil || n == 0 {
		return nil, err
	}
	kinds, of := make([]C.uint, n), C.int(0)
	if outputs {
		of = 1
	}
	if err := c.check(C.ebm_places(c.table, pointer, of, C.size_t(n), &kinds[0])); err != nil {
		return nil, err
	}
	places := make([]bool, n)
	for i, kind := range kinds {
		places[i] = kind != 0
	}
	return places, nil
}

// deviceValue is a tensor in the memory of a device. The binding's runs take it, since
// all that they ask of a value are its internals.
type deviceValue struct {
	ort.Value // nil: it lends its methods, whose types have no name outside of the binding
	calls     *calls
	p         *C.OrtValue
	dtype     tensor.DType
	shape     []int64
}

// GetInternals returns the pointer to ONNX Runtime's value, in the binding's only form.
func (v *deviceValue) GetInternals() *ort.ValueInternalData {
	d := new(ort.ValueInternalData)
	*(*unsafe.Pointer)(unsafe.Pointer(d)) = unsafe.Pointer(v.p)
	return d
}

// valuePointer is a pointer to a value, for tests, which cannot name C's types.
func valuePointer(p unsafe.Pointer) *C.OrtValue { return (*C.OrtValue)(p) }

// Destroy frees the memory.
func (v *deviceValue) Destroy() error {
	C.ebm_free_value(v.calls.table, v.p)
	v.p = nil
	return nil
}

// elementType is a type's number in ONNX.
func elementType(t tensor.DType) C.uint {
	for number, dtype := range onnxTypes {
		if dtype == t {
			return C.uint(number)
		}
	}
	return 0
}

// allocate makes a tensor of t's type and shape with memory of a device.
func (c *calls) allocate(a allocator, t *tensor.Tensor) (*deviceValue, error) {
	v := &deviceValue{calls: c, dtype: t.DType(), shape: dims(t)}
	return v, c.check(C.ebm_allocate(c.table, a.p, shapePointer(v.shape), C.size_t(len(v.shape)), elementType(t.DType()), &v.p))
}

func shapePointer(shape []int64) *C.int64_t {
	if len(shape) == 0 {
		return nil
	}
	return (*C.int64_t)(unsafe.Pointer(&shape[0]))
}

// hostMemory is ONNX Runtime's name of the host's memory.
const hostMemory = "Cpu"

// wrap makes a value of memory that is there, under ONNX Runtime's name for where.
func (c *calls) wrap(where string, device int, data unsafe.Pointer, dtype tensor.DType, shape []int64) (*deviceValue, error) {
	v := &deviceValue{calls: c, dtype: dtype, shape: shape}
	name := C.CString(where)
	defer C.free(unsafe.Pointer(name))
	return v, c.check(C.ebm_wrap(c.table, name, C.int(device), data, C.size_t(v.size()), shapePointer(shape), C.size_t(len(shape)),
		elementType(dtype), &v.p))
}

// size returns the number of v's bytes.
func (v *deviceValue) size() int {
	n := v.dtype.Size()
	for _, d := range v.shape {
		n *= int(d)
	}
	return n
}

// bytes returns v's memory as a value of bytes, which the caller destroys first.
func (v *deviceValue) bytes(where string, device int) (*deviceValue, error) {
	var data unsafe.Pointer
	if err := v.calls.check(C.ebm_data(v.calls.table, v.p, &data)); err != nil {
		return nil, err
	}
	return v.calls.wrap(where, device, data, tensor.Uint8, []int64{int64(v.size())})
}

// copy copies the elements of one value to another one, of which one is a device's.
func (c *calls) copy(from, to *deviceValue) error {
	return c.check(C.ebm_copy(c.table, c.env, from.p, to.p))
}
