package runtime

// #cgo LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stdlib.h>
// #include <string.h>
//
// #ifdef __GLIBC__
// enum { glibc = 1 };
// #else
// enum { glibc = 0 };
// #endif
//
// // ebm_device_count asks a library of CUDA's that the process has loaded.
// static int ebm_device_count(const char *name, int *n) {
// 	void *library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
// 	int (*count)(int *) = library ? (int (*)(int *))dlsym(library, "cudaGetDeviceCount") : 0;
// 	int known = count && count(n) == 0;
// 	if (library) dlclose(library);
// 	return known;
// }
// // ebm_device_name writes the name of a device, which begins the properties that CUDA tells of it.
// static int ebm_device_name(const char *name, int device, char *properties) {
// 	void *library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
// 	int (*tell)(void *, int) = library ? (int (*)(void *, int))dlsym(library, "cudaGetDeviceProperties") : 0;
// 	int known = tell && tell(properties, device) == 0;
// 	if (library) dlclose(library);
// 	return known;
// }
import "C"

import "unsafe"

// loadable reports whether the loader finds the shared library called name and
// everything that it needs in turn.
func loadable(name string) bool {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	handle := C.dlopen(c, C.RTLD_LAZY|C.RTLD_LOCAL)
	if handle == nil {
		return false
	}
	C.dlclose(handle)
	return true
}

// deviceCount asks CUDA's library called name how many devices there are.
func deviceCount(name string) (n int, known bool) {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	var count C.int
	known = C.ebm_device_count(c, &count) != 0
	return int(count), known
}

// deviceName asks CUDA's library called name what a device is called.
func deviceName(name string, device int) string {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	properties := (*C.char)(C.calloc(1, 1<<14)) // more than any version tells
	defer C.free(unsafe.Pointer(properties))
	if C.ebm_device_name(c, C.int(device), properties) == 0 {
		return ""
	}
	return C.GoStringN(properties, C.int(C.strnlen(properties, 256)))
}

// cLibrary is the C library that the program was built with, which is the one that
// every library in the process must be for.
func cLibrary() string {
	if C.glibc == 1 {
		return glibc
	}
	return musl
}
