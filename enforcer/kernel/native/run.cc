/* BPF_PROG_TEST_RUN: a frame in, the verdict out; and live frames for the benches. */
#include "addon.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

namespace honeymesh {
namespace {

/* (programFd, data, dataOut or null, context or null, contextOut or null, repeat, flags, batchSize)
 * -> { errno, retval, durationNs, dataLength, contextLength }; durationNs is the mean of the repeats */
Napi::Value test_run(Call info)
{
	Napi::Env env = info.Env();
	Bytes data = bytes_at(info, 1), out = bytes_at(info, 2), context = bytes_at(info, 3), context_out = bytes_at(info, 4);
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	opts.data_in = data.data;
	opts.data_size_in = data.length;
	opts.data_out = out.data;
	opts.data_size_out = out.length;
	opts.ctx_in = context.data;
	opts.ctx_size_in = context.length;
	opts.ctx_out = context_out.data;
	opts.ctx_size_out = context_out.length;
	opts.repeat = int_at(info, 5);
	opts.flags = uint_at(info, 6);
	opts.batch_size = uint_at(info, 7);
	int error = result_of(bpf_prog_test_run_opts(int_at(info, 0), &opts));
	auto result = Napi::Object::New(env);
	result.Set("errno", number(env, error));
	result.Set("retval", number(env, opts.retval));
	result.Set("durationNs", number(env, opts.duration));
	result.Set("dataLength", number(env, opts.data_size_out));
	result.Set("contextLength", number(env, opts.ctx_size_out));
	return result;
}

} // namespace

void export_runs(Napi::Env env, Napi::Object exports) { add(env, exports, "testRun", test_run); }

} // namespace honeymesh
