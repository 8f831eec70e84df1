// What of NVIDIA's libraries must do or answer something for ONNX Runtime's CUDA provider to
// load, place a model's operators, copy and run without a device: device memory is the host's,
// kernels do nothing, and results are therefore zeros or whatever lay there. stubs.py makes a
// library of each part, with functions that answer "success" for everything else that the
// provider asks for. Structures and numbers are those of CUDA 12 and 13 and of cuDNN 9.
#include "counts.h"
#include <pthread.h>
#include <stddef.h>
#include <string.h>

static int handle(void **p) { // of an object that nothing is done with
	*p = calloc(1, 4096);
	return *p ? 0 : 2;
}

#ifdef STUB_libcudart

enum kind { HOST = 1, DEVICE = 2 }; // cudaMemoryType

static struct block { struct block *next; char *at; size_t size; enum kind kind; int device; } *blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

// The device of each thread. EBM_CUDA_DEVICES says how many there are, 1 without it; all are
// the same, and their memory is apart by its addresses.
static __thread int current;

static int device_count(void) {
	const char *n = getenv("EBM_CUDA_DEVICES");
	return n && atoi(n) > 0 ? atoi(n) : 1;
}

static int take(void **p, size_t n, enum kind kind) {
	struct block *b = malloc(sizeof *b);
	*p = calloc(1, n ? n : 1);
	if (!b || !*p) return 2; // cudaErrorMemoryAllocation
	pthread_mutex_lock(&lock);
	*b = (struct block){blocks, *p, n, kind, current};
	blocks = b;
	pthread_mutex_unlock(&lock);
	if (kind == DEVICE) count_memory(current, (int64_t)n);
	return 0;
}

static int give(void *p) {
	pthread_mutex_lock(&lock);
	for (struct block **q = &blocks; *q; q = &(*q)->next) {
		if ((*q)->at == p) {
			struct block *b = *q;
			*q = b->next;
			if (b->kind == DEVICE) count_memory(b->device, -(int64_t)b->size);
			free(b);
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	free(p);
	return 0;
}

// where returns the kind of memory at p, 0 for memory of the program's own, and its device.
static int where(const void *p, int *device) {
	int kind = 0;
	pthread_mutex_lock(&lock);
	for (struct block *b = blocks; b && !kind; b = b->next)
		if ((const char *)p >= b->at && (const char *)p < b->at + (b->size ? b->size : 1)) kind = b->kind, *device = b->device;
	pthread_mutex_unlock(&lock);
	return kind;
}

int cudaMalloc(void **p, size_t n) { return take(p, n, DEVICE); }
int cudaMallocFromPoolAsync(void **p, size_t n, void *pool, void *stream) { return take(p, n, DEVICE); }
int cudaMallocHost(void **p, size_t n) { return take(p, n, HOST); }
int cudaHostAlloc(void **p, size_t n, unsigned flags) { return take(p, n, HOST); }
int cudaFree(void *p) { return give(p); }
int cudaFreeAsync(void *p, void *stream) { return give(p); }
int cudaFreeHost(void *p) { return give(p); }
int cudaMemGetInfo(size_t *left, size_t *all) { return *left = *all = (size_t)16 << 30, 0; }

// The direction, and whose copy it is, are taken from the addresses, whatever the caller says.
static void count_by_address(const void *to, const void *from, size_t n) {
	int device = current;
	int from_device = where(from, &device) == DEVICE, to_device = where(to, &device) == DEVICE;
	count_copy(device, from_device ? (to_device ? TO_DEVICE_FROM_DEVICE : TO_HOST) : (to_device ? TO_DEVICE : TO_HOST_FROM_HOST), n);
}

static int copy(void *to, const void *from, size_t n) {
	count_by_address(to, from, n);
	memmove(to, from, n);
	return 0;
}

int cudaMemcpy(void *to, const void *from, size_t n, int kind) { return copy(to, from, n); }
int cudaMemcpyAsync(void *to, const void *from, size_t n, int kind, void *stream) { return copy(to, from, n); }
int cudaMemcpy2DAsync(void *to, size_t dp, const void *from, size_t sp, size_t w, size_t h, int kind, void *stream) {
	count_by_address(to, from, w * h);
	for (size_t i = 0; i < h; i++) memmove((char *)to + i * dp, (const char *)from + i * sp, w);
	return 0;
}
int cudaMemset(void *p, int v, size_t n) { return memset(p, v, n), 0; }
int cudaMemsetAsync(void *p, int v, size_t n, void *stream) { return memset(p, v, n), 0; }

int cudaPointerGetAttributes(void *answer, const void *p) {
	struct { int type, device; void *on_device, *on_host; } a = {0, 0, (void *)p, (void *)p};
	a.type = where(p, &a.device);
	memcpy(answer, &a, sizeof a);
	return 0;
}

// The device: what ONNX Runtime and CUDA's headers look at of an H200, little memory apart.
struct properties { // the beginning of cudaDeviceProp
	char name[256], uuid[16], luid[8];
	unsigned luid_mask;
	size_t memory, shared_of_block;
	int registers_of_block, warp;
	size_t pitch;
	int threads_of_block, block[3], grid[3];
	size_t constant;
	int major, minor;
	size_t texture_alignment, texture_pitch;
	int processors;
};

int cudaGetDeviceProperties(void *answer, int device) {
	struct properties p = {
		.name = "stub", .memory = (size_t)16 << 30, .shared_of_block = 49152, .registers_of_block = 65536, .warp = 32,
		.pitch = 2147483647, .threads_of_block = 1024, .block = {1024, 1024, 64}, .grid = {2147483647, 65535, 65535},
		.constant = 65536, .major = 9, .minor = 0, .processors = 132};
	memset(answer, 0, 700); // less than the structure of any version
	memcpy(answer, &p, sizeof p);
	return 0;
}
int cudaGetDeviceProperties_v2(void *answer, int device) { return cudaGetDeviceProperties(answer, device); }

int cudaDeviceGetAttribute(int *answer, int which, int device) {
	switch (which) { // cudaDeviceAttr
	case 1: *answer = 1024; break;    // threads of a block
	case 8: *answer = 49152; break;   // shared memory of a block
	case 10: *answer = 32; break;     // warp
	case 16: *answer = 132; break;    // processors
	case 75: *answer = 9; break;      // compute capability
	case 97: *answer = 232448; break; // shared memory of a block that asks for it
	default: *answer = 0;
	}
	return 0;
}
int cudaGetDeviceCount(int *n) { return *n = device_count(), 0; }
int cudaGetDevice(int *n) { return *n = current, 0; }
int cudaSetDevice(int n) { return n < 0 || n >= device_count() ? 101 : (current = n, 0); } // cudaErrorInvalidDevice
int cudaDriverGetVersion(int *v) { return *v = 13000, 0; }
int cudaRuntimeGetVersion(int *v) { return *v = 13000, 0; }
const char *cudaGetErrorString(int e) { return "an error of the stub"; }
const char *cudaGetErrorName(int e) { return "stub"; }
int cudaFuncGetAttributes(void *answer, const void *f) {
	struct { size_t sizes[3]; int threads; } a = {{0}, 1024};
	memset(answer, 0, 128);
	memcpy(answer, &a, sizeof a);
	return 0;
}
int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, const void *f, int b, size_t s, unsigned flags) { return *n = 1, 0; }

static int nothing(void) { return 0; }
int cudaGetDriverEntryPointByVersion(const char *name, void **f, unsigned v, unsigned long long flags, int *found) {
	*f = (void *)nothing;
	if (found) *found = 0;
	return 0;
}

int cudaStreamCreate(void **p) { return handle(p); }
int cudaStreamCreateWithFlags(void **p, unsigned flags) { return handle(p); }
int cudaStreamCreateWithPriority(void **p, unsigned flags, int priority) { return handle(p); }
int cudaEventCreate(void **p) { return handle(p); }
int cudaEventCreateWithFlags(void **p, unsigned flags) { return handle(p); }
int cudaEventElapsedTime(float *ms, void *a, void *b) { return *ms = 1, 0; }
int cudaMemPoolCreate(void **p, void *properties) { return handle(p); }
int cudaMemPoolGetAttribute(void *p, int which, void *answer) { return *(uint64_t *)answer = 0, 0; }
int cudaLaunchHostFunc(void *stream, void (*f)(void *), void *data) { return f(data), 0; }

// Kernels are launched and do nothing; a captured graph is one launch, and what a thread launches
// while it captures is none.
static __thread int capturing;
int cudaStreamBeginCapture(void *stream, int mode) { return capturing = 1, 0; }
int cudaStreamIsCapturing(void *stream, int *status) { return *status = capturing, 0; }
int cudaStreamEndCapture(void *stream, void **graph) { return capturing = 0, handle(graph); }
int cudaGraphInstantiate(void **p, void *graph, unsigned long long flags) { return handle(p); }
int cudaGraphLaunch(void *graph, void *stream) { return count(current, GRAPHS, 1), 0; }
static int launch(void) { return capturing ? 0 : (count(current, LAUNCHES, 1), 0); }
int cudaLaunchKernel(void) { return launch(); }
int cudaLaunchKernelExC(void) { return launch(); }
int cudaLaunchCooperativeKernel(void) { return launch(); }
int __cudaLaunchKernel(void) { return launch(); }
int __cudaGetKernel(void **kernel, void *f) { return *kernel = f, 0; }
void **__cudaRegisterFatBinary(void *image) { return calloc(1, 64); }
int cudaLibraryLoadData(void **p) { return handle(p); }
int cudaLibraryGetKernel(void **p) { return handle(p); }

#endif

#ifdef STUB_libcublas
int cublasCreate_v2(void **p) { return handle(p); }
int cublasGetMathMode(void *h, int *mode) { return *mode = 0, 0; }
const char *cublasGetStatusName(int e) { return "stub"; }
const char *cublasGetStatusString(int e) { return "an error of the stub"; }
#endif

#ifdef STUB_libcublasLt
int cublasLtCreate(void **p) { return handle(p); }
int cublasLtMatmulDescCreate(void **p) { return handle(p); }
int cublasLtMatmulPreferenceCreate(void **p) { return handle(p); }
int cublasLtMatrixLayoutCreate(void **p) { return handle(p); }
int cublasLtMatrixTransformDescCreate(void **p) { return handle(p); }
int cublasLtMatmulAlgoGetHeuristic(void *h, void *op, void *a, void *b, void *c, void *d, void *preference, int asked, void *answers, int *n) {
	memset(answers, 0, 96); // one cublasLtMatmulHeuristicResult_t, with the status success
	return *n = 1, 0;
}
#endif

#ifdef STUB_libcudnn
size_t cudnnGetVersion(void) { return 91300; }
const char *cudnnGetErrorString(int e) { return "an error of the stub"; }
void cudnnGetLastErrorString(char *text, size_t n) { if (n) *text = 0; }
int cudnnCreate(void **p) { return handle(p); }
int cudnnGetStream(void *h, void **stream) { return *stream = 0, 0; }
int cudnnGetReductionWorkspaceSize(void *h, void *r, void *a, void *c, size_t *n) { return *n = 0, 0; }
int cudnnGetReductionIndicesSize(void *h, void *r, void *a, void *c, size_t *n) { return *n = 0, 0; }
int cudnnGetConvolutionForwardWorkspaceSize(void *h, void *x, void *w, void *c, void *y, int algorithm, size_t *n) { return *n = 0, 0; }
int cudnnDropoutGetStatesSize(void *h, size_t *n) { return *n = 0, 0; }

// The graph interface: each graph of operations has one engine that takes it and wants no memory.
enum attribute { HEURISTIC_RESULTS = 202, ENGINE_OF_CONFIGURATION = 300 };
enum type { INT64 = 3, INT32 = 23 }; // sizes of memory, indices of engines
int cudnnBackendCreateDescriptor(int type, void **p) { return handle(p); }
int cudnnBackendDestroyDescriptor(void *p) { return free(p), 0; }
int cudnnBackendGetAttribute(void *descriptor, int which, int type, int64_t asked, int64_t *n, void *answer) {
	int64_t found = 0;
	if (which == HEURISTIC_RESULTS || which == ENGINE_OF_CONFIGURATION) {
		found = 1; // into a descriptor that the caller has made
	} else if (type == INT64 || type == INT32) {
		found = 1;
		if (answer && asked > 0) memset(answer, 0, type == INT64 ? 8 : 4);
	}
	if (n) *n = found;
	return 0;
}
#endif
