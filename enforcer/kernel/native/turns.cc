/* How long a thread's turns on a processor are. Since Linux 6.12 a fair thread may ask for shorter ones (sched_runtime of sched_setattr(2), 0.1 to 100 ms) and
 * then gets them sooner; it gets no more time by that, and needs no privilege. glibc has no wrapper before 2.41, and no struct. */
#include "addon.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace honeymesh {
namespace {

struct Attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

/* (nanoseconds; 0: as all have) of the calling thread -> those that are in force, 0 where the kernel knows of none, or a negative errno */
Napi::Value set_turns(Call info)
{
	Napi::Env env = info.Env();
	Attributes now = {};
	if (syscall(SYS_sched_getattr, 0, &now, sizeof(now), 0) != 0)
		return number(env, -errno);
	now.size = sizeof(now);
	now.runtime = uint_at(info, 0);
	if (syscall(SYS_sched_setattr, 0, &now, 0) != 0 || syscall(SYS_sched_getattr, 0, &now, sizeof(now), 0) != 0)
		return number(env, -errno);
	return number(env, now.runtime);
}

} // namespace

void export_turns(Napi::Env env, Napi::Object exports) { add(env, exports, "setTurns", set_turns); }

} // namespace honeymesh
