// SPDX-License-Identifier: BSD-3-Clause
// install/device.cc - a device written in C++17 against all installed headers; compiled, not run.
#include GODWIT_HEADERS // one that includes them all; install.py makes it of what it finds

#include <memory>
#include <stdexcept>
#include <vector>

namespace {

class Echo {
public:
	static gw_device_ops ops()
	{
		gw_device_ops ops{};
		ops.size = sizeof(ops);
		ops.name = "echo";
		ops.max_queues = 1;
		ops.create = [](void **dev, const gw_params *, const void *) {
			*dev = new Echo;
			return 0;
		};
		ops.destroy = [](void *dev) { delete static_cast<Echo *>(dev); };
		ops.queue_ready = [](void *dev, gw_queue *queue) {
			static_cast<Echo *>(dev)->ready(queue);
		};
		return ops;
	}

private:
	void ready(gw_queue *queue)
	{
		while (gw_elem *elem = gw_queue_pop(queue)) {
			buffer.resize(elem->out_len);
			size_t len = gw_elem_copy_from(elem, 0, buffer.data(), buffer.size());
			gw_elem_push(elem, gw_elem_copy_to(elem, 0, buffer.data(), len));
		}
	}

	std::vector<char> buffer;
};

struct Free {
	void operator()(gw_loop *loop) const { gw_loop_free(loop); }
	void operator()(gw_backend *backend) const { gw_backend_free(backend); }
};

} // namespace

void serve(const char *path)
{
	gw_device_ops ops = Echo::ops();
	gw_backend_config config{};
	gw_loop *loop = nullptr;
	gw_backend *backend = nullptr;

	config.size = sizeof(config);
	config.ops = &ops;
	if (gw_loop_new(&loop))
		throw std::runtime_error(gw_last_error());
	std::unique_ptr<gw_loop, Free> loop_owner(loop);
	if (gw_backend_new(&backend, loop, &config) || gw_backend_listen(backend, path))
		throw std::runtime_error(gw_last_error());
	std::unique_ptr<gw_backend, Free> backend_owner(backend);
	gw_loop_run(loop);
}
