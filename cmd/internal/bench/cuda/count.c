// A library to be preloaded (LD_PRELOAD) on a machine with a device: it counts the copies,
// the launches and the memory that ONNX Runtime's CUDA provider asks of NVIDIA's runtime
// library, and hands every call on. What cuDNN and cuBLAS do inside is not seen.
#define _GNU_SOURCE
#include "counts.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>

// next finds a function in the library that the provider has loaded for itself alone.
static void *next(const char *name) {
	static const char *const libraries[] = {"libcudart.so.13", "libcudart.so.12"};
	for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
		void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);
		void *found = library ? dlsym(library, name) : 0;
		if (found) return found;
	}
	fprintf(stderr, "count: no %s in the CUDA runtime library, want one of version 12 or 13\n", name);
	abort();
}

#define NEXT(name, result, ...) \
	static result (*real)(__VA_ARGS__); \
	if (!real) real = next(name)

// here is the device that the thread computes on.
static int here(void) {
	NEXT("cudaGetDevice", int, int *);
	int device = 0;
	return real(&device) == 0 ? device : 0;
}

// Sizes of allocations, by address.
static struct block { struct block *next; void *at; size_t size; int device; } *blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void taken(void *at, size_t size) {
	struct block *b = malloc(sizeof *b);
	if (!b) return;
	pthread_mutex_lock(&lock);
	*b = (struct block){blocks, at, size, here()};
	blocks = b;
	pthread_mutex_unlock(&lock);
	count_memory(b->device, (int64_t)size);
}

static void given(void *at) {
	pthread_mutex_lock(&lock);
	for (struct block **p = &blocks; *p; p = &(*p)->next) {
		if ((*p)->at == at) {
			struct block *b = *p;
			*p = b->next;
			count_memory(b->device, -(int64_t)b->size);
			free(b);
			break;
		}
	}
	pthread_mutex_unlock(&lock);
}

int cudaMalloc(void **p, size_t n) {
	NEXT("cudaMalloc", int, void **, size_t);
	int e = real(p, n);
	if (!e) taken(*p, n);
	return e;
}

int cudaMallocFromPoolAsync(void **p, size_t n, void *pool, void *stream) {
	NEXT("cudaMallocFromPoolAsync", int, void **, size_t, void *, void *);
	int e = real(p, n, pool, stream);
	if (!e) taken(*p, n);
	return e;
}

int cudaFree(void *p) {
	NEXT("cudaFree", int, void *);
	given(p);
	return real(p);
}

int cudaFreeAsync(void *p, void *stream) {
	NEXT("cudaFreeAsync", int, void *, void *);
	given(p);
	return real(p, stream);
}

// by_address finds the direction of a copy that leaves it to the addresses.
static enum direction by_address(const void *to, const void *from, int kind) {
	struct { int type, device; void *more[16]; } a = {0}, b = {0};
	if (kind != BY_ADDRESS) return kind;
	NEXT("cudaPointerGetAttributes", int, void *, const void *);
	int to_device = real(&a, to) == 0 && a.type >= 2, from_device = real(&b, from) == 0 && b.type >= 2;
	return from_device ? (to_device ? TO_DEVICE_FROM_DEVICE : TO_HOST) : (to_device ? TO_DEVICE : TO_HOST_FROM_HOST);
}

int cudaMemcpy(void *to, const void *from, size_t n, int kind) {
	NEXT("cudaMemcpy", int, void *, const void *, size_t, int);
	count_copy(here(), by_address(to, from, kind), n);
	return real(to, from, n, kind);
}

int cudaMemcpyAsync(void *to, const void *from, size_t n, int kind, void *stream) {
	NEXT("cudaMemcpyAsync", int, void *, const void *, size_t, int, void *);
	count_copy(here(), by_address(to, from, kind), n);
	return real(to, from, n, kind, stream);
}

int cudaMemcpy2DAsync(void *to, size_t dp, const void *from, size_t sp, size_t w, size_t h, int kind, void *stream) {
	NEXT("cudaMemcpy2DAsync", int, void *, size_t, const void *, size_t, size_t, size_t, int, void *);
	count_copy(here(), by_address(to, from, kind), w * h);
	return real(to, dp, from, sp, w, h, kind, stream);
}

struct dim3 { unsigned x, y, z; };

int cudaLaunchKernel(const void *f, struct dim3 grid, struct dim3 block, void **args, size_t shared, void *stream) {
	NEXT("cudaLaunchKernel", int, const void *, struct dim3, struct dim3, void **, size_t, void *);
	count(here(), LAUNCHES, 1);
	return real(f, grid, block, args, shared, stream);
}

int __cudaLaunchKernel(void *f, struct dim3 grid, struct dim3 block, void **args, size_t shared, void *stream) {
	NEXT("__cudaLaunchKernel", int, void *, struct dim3, struct dim3, void **, size_t, void *);
	count(here(), LAUNCHES, 1);
	return real(f, grid, block, args, shared, stream);
}

int cudaLaunchKernelExC(const void *config, const void *f, void **args) {
	NEXT("cudaLaunchKernelExC", int, const void *, const void *, void **);
	count(here(), LAUNCHES, 1);
	return real(config, f, args);
}

int cudaGraphLaunch(void *graph, void *stream) {
	NEXT("cudaGraphLaunch", int, void *, void *);
	count(here(), GRAPHS, 1);
	return real(graph, stream);
}
