// The calls of ONNX Runtime's C interface that onnxruntime_go lacks: plugin
// providers, and tensors in the memory of devices. OrtApi is a table of function
// pointers to which every version only appends, so a call is its place in the
// table and its type. TestCallsMatchTheHeader holds both to the header of the
// interface that the binding asks for.
#ifndef EBM_ORTCALLS_H
#define EBM_ORTCALLS_H

#include <stddef.h>
#include <stdint.h>

#define EBM_API 24

typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtValue OrtValue;
typedef struct OrtEpDevice OrtEpDevice;
typedef struct OrtHardwareDevice OrtHardwareDevice;
typedef struct OrtKeyValuePairs OrtKeyValuePairs;
typedef struct OrtSyncStream OrtSyncStream;

// Enumerations are the integers that compilers make of them.
#define EBM_CALLS(CALL)                                                                                                    \
	CALL(2, const char *, GetErrorMessage, (const OrtStatus *))                                                            \
	CALL(3, OrtStatus *, CreateEnv, (unsigned level, const char *name, OrtEnv **))                                              \
	CALL(48, OrtStatus *, CreateTensorAsOrtValue, (OrtAllocator *, const int64_t *, size_t, unsigned type, OrtValue **))   \
	CALL(49, OrtStatus *, CreateTensorWithDataAsOrtValue,                                                                  \
		(const OrtMemoryInfo *, void *, size_t, const int64_t *, size_t, unsigned type, OrtValue **))                      \
	CALL(51, OrtStatus *, GetTensorMutableData, (OrtValue *, void **))                                                     \
	CALL(68, OrtStatus *, CreateMemoryInfo, (const char *, int allocator, int id, int memory, OrtMemoryInfo **))           \
	CALL(92, void, ReleaseEnv, (OrtEnv *))                                                                                 \
	CALL(93, void, ReleaseStatus, (OrtStatus *))                                                                           \
	CALL(94, void, ReleaseMemoryInfo, (OrtMemoryInfo *))                                                                   \
	CALL(96, void, ReleaseValue, (OrtValue *))                                                                             \
	CALL(131, OrtStatus *, CreateAllocator, (const OrtSession *, const OrtMemoryInfo *, OrtAllocator **))                  \
	CALL(132, void, ReleaseAllocator, (OrtAllocator *))                                                                    \
	CALL(165, OrtStatus *, AddRunConfigEntry, (OrtRunOptions *, const char *key, const char *value))                       \
	CALL(225, void, MemoryInfoGetDeviceType, (const OrtMemoryInfo *, unsigned *))                                          \
	CALL(298, void, GetKeyValuePairs, (const OrtKeyValuePairs *, const char *const **, const char *const **, size_t *))    \
	CALL(303, OrtStatus *, GetEpDevices, (const OrtEnv *, const OrtEpDevice *const **, size_t *))                          \
	CALL(304, OrtStatus *, SessionOptionsAppendExecutionProvider_V2,                                                       \
		(OrtSessionOptions *, OrtEnv *, const OrtEpDevice *const *, size_t, const char *const *, const char *const *, size_t)) \
	CALL(307, unsigned, HardwareDevice_Type, (const OrtHardwareDevice *))                                                  \
	CALL(308, uint32_t, HardwareDevice_VendorId, (const OrtHardwareDevice *))                                              \
	CALL(309, const char *, HardwareDevice_Vendor, (const OrtHardwareDevice *))                                            \
	CALL(310, uint32_t, HardwareDevice_DeviceId, (const OrtHardwareDevice *))                                              \
	CALL(311, const OrtKeyValuePairs *, HardwareDevice_Metadata, (const OrtHardwareDevice *))                              \
	CALL(312, const char *, EpDevice_EpName, (const OrtEpDevice *))                                                        \
	CALL(314, const OrtKeyValuePairs *, EpDevice_EpMetadata, (const OrtEpDevice *))                                        \
	CALL(316, const OrtHardwareDevice *, EpDevice_Device, (const OrtEpDevice *))                                           \
	CALL(374, const OrtMemoryInfo *, EpDevice_MemoryInfo, (const OrtEpDevice *, unsigned memory))                          \
	CALL(376, OrtStatus *, GetSharedAllocator, (OrtEnv *, const OrtMemoryInfo *, OrtAllocator **))                         \
	CALL(380, OrtStatus *, SessionGetMemoryInfoForInputs, (const OrtSession *, const OrtMemoryInfo **, size_t))            \
	CALL(381, OrtStatus *, SessionGetMemoryInfoForOutputs, (const OrtSession *, const OrtMemoryInfo **, size_t))           \
	CALL(386, OrtStatus *, CopyTensors,                                                                                    \
		(const OrtEnv *, const OrtValue *const *, OrtValue *const *, OrtSyncStream *, size_t))

#endif
