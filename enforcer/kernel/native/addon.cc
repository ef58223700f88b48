/* The module: one table of functions, each in the part that it belongs to. */
#include "addon.h"

static Napi::Object start(Napi::Env env, Napi::Object exports)
{
	honeymesh::export_objects(env, exports);
	honeymesh::export_maps(env, exports);
	honeymesh::export_links(env, exports);
	honeymesh::export_tc(env, exports);
	honeymesh::export_runs(env, exports);
	honeymesh::export_ring(env, exports);
	honeymesh::export_sockets(env, exports);
	honeymesh::export_connections(env, exports);
	honeymesh::export_datagrams(env, exports);
	honeymesh::export_turns(env, exports);
	return exports;
}

NODE_API_MODULE(honeymesh, start)
