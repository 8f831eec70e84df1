// Counters of what a process asks of a CUDA device, in a file that other programs
// may read meanwhile: EBM_CUDA_COUNTS names it. Without that they are the process's own.
// counts.py and cuda_device_test.go know the order.
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

static uint64_t *counters(void) {
	static uint64_t own[COUNTERS], *shared;
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

static void count(enum counter which, uint64_t n) { __atomic_add_fetch(&counters()[which], n, __ATOMIC_RELAXED); }

static void count_memory(int64_t change) {
	uint64_t now = __atomic_add_fetch(&counters()[MEMORY], (uint64_t)change, __ATOMIC_RELAXED);
	uint64_t peak = __atomic_load_n(&counters()[PEAK], __ATOMIC_RELAXED);
	while (change > 0 && now > peak &&
	       !__atomic_compare_exchange_n(&counters()[PEAK], &peak, now, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
	}
}

enum direction { TO_HOST_FROM_HOST, TO_DEVICE, TO_HOST, TO_DEVICE_FROM_DEVICE, BY_ADDRESS }; // cudaMemcpyKind

static void count_copy(enum direction kind, uint64_t bytes) {
	switch (kind) {
	case TO_DEVICE: count(UP, bytes), count(UPS, 1); break;
	case TO_HOST: count(DOWN, bytes), count(DOWNS, 1); break;
	case TO_DEVICE_FROM_DEVICE: count(INSIDE, bytes), count(INSIDES, 1); break;
	default: break;
	}
}
