// What a test can make the model of a GPU do, and hear of it.
#ifndef TOKFS_KERNELS_CUDA_SHIM_FAULTS_H
#define TOKFS_KERNELS_CUDA_SHIM_FAULTS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The launch after so many more fails, and all after it, until the device is closed; and so on the next device, n_times
// in all.
void shim_fail_after(uint64_t n_launches, unsigned n_times);
// How often a device cannot be opened from now on.
void shim_refuse_open(unsigned n_times);
// The device's memory, for those opened from now on; UINT64_MAX: any.
void shim_set_memory(uint64_t bytes);
// How often a recording fails from now on.
void shim_refuse_recording(unsigned n_times);
uint64_t shim_n_graphs(void);         // recorded since the program began
uint64_t shim_n_graph_launches(void); // of theirs
uint64_t shim_n_launches(void);       // since the program began
uint64_t shim_n_syncs(void);          // how often all of the queue was waited for
// Bytes that came from pinned memory, and from other memory by way of a copy of the host's; since the program began.
uint64_t shim_bytes_copied_in(void), shim_bytes_uploaded(void);
uint64_t shim_bytes_pinned(void), shim_bytes_pinned_most(void); // of the caller's memory: now, and at any time

#ifdef __cplusplus
}
#endif

#endif
