/* A Vulkan driver before Mesa's RADV, for a GPU that is not there.
 *
 * With RADV_FORCE_FAMILY RADV compiles for a GPU without having one. WebGPU refuses that device for two reasons that
 * have nothing to do with compiling: it lacks timeline semaphores and memory. This driver passes everything on to
 * RADV and supplies these two; commands and queues do nothing. NULL_DEVICE_DRIVER names RADV's library.
 */

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUT_OF_DEVICE_MEMORY = -2, MEMORY_BYTES_LOG2 = 34 };
enum { TIMELINE = 1, SEMAPHORE_TYPE_INFO = 1000207002, TIMELINE_SUBMIT_INFO = 1000207003, MEMORY_BUDGET = 1000237000 };

typedef void (*Function)(void);
typedef Function (*GetProc)(void *, const char *);
/* The head of each structure of Vulkan. */
struct Chain { int32_t type; const struct Chain *next; };

static int nothing(void) { return 0; }

static const void *find(const struct Chain *chain, int32_t type) {
  for (; chain; chain = chain->next) if (chain->type == type) return chain;
  return NULL;
}

/* ---- timeline semaphores: each submission is done at once ------------------------------------------------------- */

struct Timeline { uint64_t value; };
struct TypeInfo { struct Chain chain; int32_t kind; uint64_t value; };
struct SubmitValues {
  struct Chain chain;
  uint32_t waits; const uint64_t *wait;
  uint32_t signals; const uint64_t *signal;
};
struct Submit {
  struct Chain chain;
  uint32_t waits; const uint64_t *wait; const uint32_t *stages;
  uint32_t commands; void *const *command;
  uint32_t signals; const uint64_t *signal;
};

static struct Timeline *timelines[4096];
static unsigned timeline_count;
static int (*create_real)(void *, const void *, const void *, uint64_t *);
static void (*destroy_real)(void *, uint64_t, const void *);

static struct Timeline *timeline(uint64_t handle) {
  for (unsigned i = 0; i < timeline_count; i++) if ((uintptr_t)timelines[i] == handle) return timelines[i];
  return NULL;
}

static int create_semaphore(void *device, const struct Chain *info, const void *allocator, uint64_t *out) {
  const struct TypeInfo *type = find(info->next, SEMAPHORE_TYPE_INFO);
  if (!type || type->kind != TIMELINE) return create_real(device, info, allocator, out);
  if (timeline_count == sizeof timelines / sizeof *timelines) return OUT_OF_DEVICE_MEMORY;
  struct Timeline *made = malloc(sizeof *made);
  made->value = type->value;
  timelines[timeline_count++] = made;
  *out = (uintptr_t)made;
  return 0;
}

static void destroy_semaphore(void *device, uint64_t semaphore, const void *allocator) {
  if (!timeline(semaphore)) destroy_real(device, semaphore, allocator);
}

static int semaphore_value(void *device, uint64_t semaphore, uint64_t *value) {
  const struct Timeline *of = timeline(semaphore);
  *value = of ? of->value : 0;
  return 0;
}

static int submit(void *queue, uint32_t count, const struct Submit *submits, uint64_t fence) {
  for (uint32_t i = 0; i < count; i++) {
    const struct SubmitValues *values = find(submits[i].chain.next, TIMELINE_SUBMIT_INFO);
    for (uint32_t k = 0; values && k < submits[i].signals && k < values->signals; k++) {
      struct Timeline *signalled = timeline(submits[i].signal[k]);
      if (signalled) signalled->value = values->signal[k];
    }
  }
  return 0;
}

/* ---- memory: one heap, of the process's own memory -------------------------------------------------------------- */

struct MemoryProperties {
  uint32_t types; struct { uint32_t flags, heap; } type[32];
  uint32_t heaps; struct { uint64_t size; uint32_t flags; } heap[16];
};
struct Budget { struct Chain chain; uint64_t budget[16], usage[16]; };
struct Allocation { struct Chain chain; uint64_t size; uint32_t type; };
struct Requirements { uint64_t size, alignment; uint32_t types; };

static void (*requirements_real)(void *, uint64_t, struct Requirements *);
static void (*requirements2_real)(void *, const void *, struct Chain *);

static void memory_properties(void *gpu, struct MemoryProperties *out) {
  memset(out, 0, sizeof *out);
  out->types = out->heaps = 1;
  out->type[0].flags = 15; /* on the device, visible, coherent and cached */
  out->heap[0].size = 1ull << MEMORY_BYTES_LOG2;
  out->heap[0].flags = 1; /* on the device */
}

static void memory_properties2(void *gpu, struct Chain *out) {
  memory_properties(gpu, (struct MemoryProperties *)(out + 1));
  struct Budget *budget = (struct Budget *)find(out->next, MEMORY_BUDGET);
  if (!budget) return;
  memset(budget->budget, 0, sizeof budget->budget + sizeof budget->usage);
  budget->budget[0] = 1ull << MEMORY_BYTES_LOG2;
}

static int allocate(void *device, const struct Allocation *info, const void *allocator, uint64_t *out) {
  void *memory = calloc(1, info->size);
  *out = (uintptr_t)memory;
  return memory ? 0 : OUT_OF_DEVICE_MEMORY;
}

static void release(void *device, uint64_t memory, const void *allocator) { free((void *)(uintptr_t)memory); }

static int map(void *device, uint64_t memory, uint64_t offset, uint64_t size, uint32_t flags, void **out) {
  *out = (char *)(uintptr_t)memory + offset;
  return 0;
}

static void requirements(void *device, uint64_t buffer, struct Requirements *out) {
  requirements_real(device, buffer, out);
  out->types = 1;
}

static void requirements2(void *device, const void *info, struct Chain *out) {
  requirements2_real(device, info, out);
  ((struct Requirements *)(out + 1))->types = 1;
}

/* ---- what RADV prints: without a buffer each word of it would be a call of the system ---------------------------- */

static int (*pipelines_real)(void *, uint64_t, uint32_t, const void *, const void *, uint64_t *);

static int create_pipelines(void *device, uint64_t cache, uint32_t count, const void *infos, const void *allocator,
                            uint64_t *out) {
  static char buffer[1 << 20];
  static int is_buffered;
  if (!is_buffered) is_buffered = !setvbuf(stderr, buffer, _IOFBF, sizeof buffer);
  int result = pipelines_real(device, cache, count, infos, allocator, out);
  fflush(stderr);
  return result;
}

/* ---- the functions that the loader gets ------------------------------------------------------------------------- */

static GetProc real_device_proc;

static int is_idle(const char *name) {
  static const char *const idle[] = {
    "vkWaitSemaphores", "vkWaitSemaphoresKHR", "vkWaitForFences", "vkGetFenceStatus", "vkQueueWaitIdle",
    "vkDeviceWaitIdle", "vkUpdateDescriptorSets", "vkBindBufferMemory", "vkBindBufferMemory2", "vkBindBufferMemory2KHR",
    "vkUnmapMemory", "vkFlushMappedMemoryRanges", "vkInvalidateMappedMemoryRanges", "vkBeginCommandBuffer",
    "vkEndCommandBuffer", "vkResetCommandBuffer", "vkResetCommandPool",
  };
  for (unsigned i = 0; i < sizeof idle / sizeof *idle; i++) if (!strcmp(name, idle[i])) return 1;
  return !strncmp(name, "vkCmd", 5);
}

/* True for a name, and for the same one with the ending of an extension. */
static int is(const char *name, const char *wanted) {
  size_t length = strlen(wanted);
  return !strncmp(name, wanted, length) && (!name[length] || !strcmp(name + length, "KHR"));
}

static Function replaced(const char *name, Function real) {
  if (!real) return NULL;
  if (is_idle(name)) return (Function)nothing;
  if (is(name, "vkCreateSemaphore")) { create_real = (void *)real; return (Function)create_semaphore; }
  if (is(name, "vkDestroySemaphore")) { destroy_real = (void *)real; return (Function)destroy_semaphore; }
  if (is(name, "vkGetSemaphoreCounterValue")) return (Function)semaphore_value;
  if (is(name, "vkQueueSubmit")) return (Function)submit;
  if (is(name, "vkGetPhysicalDeviceMemoryProperties")) return (Function)memory_properties;
  if (is(name, "vkGetPhysicalDeviceMemoryProperties2")) return (Function)memory_properties2;
  if (is(name, "vkCreateComputePipelines")) { pipelines_real = (void *)real; return (Function)create_pipelines; }
  if (is(name, "vkAllocateMemory")) return (Function)allocate;
  if (is(name, "vkFreeMemory")) return (Function)release;
  if (is(name, "vkMapMemory")) return (Function)map;
  if (is(name, "vkGetBufferMemoryRequirements")) { requirements_real = (void *)real; return (Function)requirements; }
  if (is(name, "vkGetBufferMemoryRequirements2")) { requirements2_real = (void *)real; return (Function)requirements2; }
  return real;
}

static void *from_driver(const char *name) {
  static void *driver;
  if (!driver) driver = dlopen(getenv("NULL_DEVICE_DRIVER"), RTLD_NOW | RTLD_LOCAL);
  if (driver) return dlsym(driver, name);
  fprintf(stderr, "null device: %s\n", dlerror());
  exit(1);
}

static Function device_proc(void *device, const char *name) { return replaced(name, real_device_proc(device, name)); }

Function vk_icdGetInstanceProcAddr(void *instance, const char *name) {
  static GetProc get;
  if (!get) get = (GetProc)from_driver("vk_icdGetInstanceProcAddr");
  Function real = get(instance, name);
  if (!real || strcmp(name, "vkGetDeviceProcAddr")) return replaced(name, real);
  real_device_proc = (GetProc)real;
  return (Function)device_proc;
}

Function vk_icdGetPhysicalDeviceProcAddr(void *instance, const char *name) {
  return replaced(name, ((GetProc)from_driver("vk_icdGetPhysicalDeviceProcAddr"))(instance, name));
}

int vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version) {
  return ((int (*)(uint32_t *))from_driver("vk_icdNegotiateLoaderICDInterfaceVersion"))(version);
}
