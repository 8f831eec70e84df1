package runtime

// #cgo LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stdlib.h>
//
// #ifdef __GLIBC__
// enum { glibc = 1 };
// #else
// enum { glibc = 0 };
// #endif
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

// cLibrary is the C library that the program was built with, which is the one that
// every library in the process must be for.
func cLibrary() string {
	if C.glibc == 1 {
		return glibc
	}
	return musl
}
