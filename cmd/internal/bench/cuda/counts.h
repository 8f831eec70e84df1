// Counters of what a process asks of a CUDA device, in a file that other programs
// may read meanwhile: EBM_CUDA_COUNTS names it. Without that they are the process's own.
// The sums over all devices come first, and then those of each of the first few.
// counts.py and cuda_test.go know the order.
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum counter {
	UP,       // bytes from the host to the device
	UPS,      // the copies that they are in
	DOWN,     // bytes from the device to the host
	DOWNS,    // their copies
	INSIDE,   // bytes between places of the device
	INSIDES,  // their copies
	LAUNCHES, // kernels launched, but for those of libraries
	GRAPHS,   // captured graphs launched
	LIBRARY,  // convolutions, products and reductions asked of libraries
	MEMORY,   // bytes of device memory in use
	PEAK,     // the most that were
	COUNTERS
};

enum { DEVICES = 4 }; // that are counted by themselves

static uint64_t *counters(void) {
	static uint64_t own[(1 + DEVICES) * COUNTERS], *shared;
	uint64_t *c = __atomic_load_n(&shared, __ATOMIC_ACQUIRE);
	if (c) return c;
	c = own;
	const char *path = getenv("EBM_CUDA_COUNTS");
	int f = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;
	if (f >= 0) {
		if (ftruncate(f, sizeof own) == 0) {
			void *mapped = mmap(0, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
			if (mapped != MAP_FAILED) c = mapped;
		}
		close(f);
	}
	uint64_t *none = 0; // two threads may map it; both see one file
	__atomic_compare_exchange_n(&shared, &none, c, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	return __atomic_load_n(&shared, __ATOMIC_ACQUIRE);
}

static void count(int device, enum counter which, uint64_t n) {
	__atomic_add_fetch(&counters()[which], n, __ATOMIC_RELAXED);
	if (device >= 0 && device < DEVICES) __atomic_add_fetch(&counters()[(1 + device) * COUNTERS + which], n, __ATOMIC_RELAXED);
}

static void count_memory_in(uint64_t *c, int64_t change) {
	uint64_t now = __atomic_add_fetch(&c[MEMORY], (uint64_t)change, __ATOMIC_RELAXED);
	uint64_t peak = __atomic_load_n(&c[PEAK], __ATOMIC_RELAXED);
	while (change > 0 && now > peak && !__atomic_compare_exchange_n(&c[PEAK], &peak, now, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
	}
}

static void count_memory(int device, int64_t change) {
	count_memory_in(counters(), change);
	if (device >= 0 && device < DEVICES) count_memory_in(counters() + (1 + device) * COUNTERS, change);
}

enum direction { TO_HOST_FROM_HOST, TO_DEVICE, TO_HOST, TO_DEVICE_FROM_DEVICE, BY_ADDRESS }; // cudaMemcpyKind

static void count_copy(int device, enum direction kind, uint64_t bytes) {
	switch (kind) {
	case TO_DEVICE: count(device, UP, bytes), count(device, UPS, 1); break;
	case TO_HOST: count(device, DOWN, bytes), count(device, DOWNS, 1); break;
	case TO_DEVICE_FROM_DEVICE: count(device, INSIDE, bytes), count(device, INSIDES, 1); break;
	default: break;
	}
}
