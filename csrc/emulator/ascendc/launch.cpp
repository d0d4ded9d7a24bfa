#include "emulator/ascendc/launch.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>

#include "emulator/ascendc/passes.h"
#include "emulator/ascendc/shadow.h"
#include "emulator/ascendc/soc.h"
#include "emulator/interface/services.h"

namespace aicore {

thread_local Core* core = nullptr;

namespace {

constexpr std::size_t stack_bytes = 1 << 20;
constexpr std::size_t most_findings = 20;

thread_local Launch* launching = nullptr;

/// Cores of former launches: making one costs as much as a small kernel.
std::vector<std::unique_ptr<Core>>& idle_cores() {
    static thread_local std::vector<std::unique_ptr<Core>> idle;
    return idle;
}

std::vector<std::unique_ptr<char[]>>& idle_stacks() {
    static thread_local std::vector<std::unique_ptr<char[]>> idle;
    return idle;
}

template <class Item, class Make>
std::unique_ptr<Item> take(std::vector<std::unique_ptr<Item>>& idle, Make make) {
    if (idle.empty()) {
        return make();
    }
    std::unique_ptr<Item> taken = std::move(idle.back());
    idle.pop_back();
    return taken;
}

}  // namespace

std::string place(Site site) {
    const char* const slash = std::strrchr(site.file, '/');
    return std::string(slash == nullptr ? site.file : slash + 1) + ":" + std::to_string(site.line);
}

Launch::Launch(const KernelLaunch& kernel, void* stream)
    : auto_sync(kernel.auto_sync),
      checks(ascend_emulator::services().options().kernel_checks),
      kernel_(kernel),
      trace_(KernelTrace::begin(kernel.name, kernel.blocks, kernel.auto_sync)),
      stream_(stream),
      time_limit_(ascend_emulator::services().options().kernel_timeout_s) {
    instructions_.push_back({"", Pipe::s, {"", 0}});
}

Launch::~Launch() {
    for (const std::unique_ptr<Fiber>& fiber : fibers_) {
        if (fiber->core != nullptr) {
            idle_cores().push_back(std::move(fiber->core));
        }
        if (fiber->stack != nullptr) {
            idle_stacks().push_back(std::move(fiber->stack));
        }
    }
}

void Launch::make_cores() {
    const bool mixed = kernel_.type == KernelType::mix_1_1 || kernel_.type == KernelType::mix_1_2;
    const std::uint32_t vectors = kernel_.type == KernelType::mix_1_2 ? 2 : 1;
    for (std::uint32_t block = 0; block < kernel_.blocks; ++block) {
        const std::uint32_t cores = mixed ? 1 + vectors : 1;
        for (std::uint32_t part = 0; part < cores; ++part) {
            const bool cube = kernel_.type == KernelType::cube || (mixed && part == 0);
            const std::uint32_t sub_block = mixed && part != 0 ? part - 1 : 0;
            auto fiber = std::make_unique<Fiber>();
            fiber->core = take(idle_cores(), [] { return std::make_unique<Core>(); });
            fiber->core->begin(block, kernel_.blocks, sub_block, vectors, mixed, cube);
            fiber->core->tiling_key = kernel_.tiling_key;
            fiber->core->launch = this;
            fiber->core->hints = ascend_emulator::services().options().kernel_hints;
            fiber->core->index = static_cast<std::uint32_t>(fibers_.size());
            fiber->core->timeline = trace_ == nullptr ? nullptr : trace_->add(*fiber->core);
            fibers_.push_back(std::move(fiber));
        }
    }
    for (const std::unique_ptr<Fiber>& fiber : fibers_) {
        fiber->clock.assign(fibers_.size(), 0);
        fiber->clock[fiber->core->index] = 1;
        fiber->known.push_back(fiber->clock);
    }
}

Runner Launch::runner_of(const Core& of) const {
    if (!kernel_.has_cube_pass || !of.is_cube()) {
        return kernel_.runner;
    }
    return cube_pass_of(kernel_.runner);
}

void Launch::enter_fiber() {
    Launch& launch = *launching;
    Fiber& fiber = *launch.running_;
    try {
        const Runner run = launch.runner_of(*core);
        run(launch.kernel_);
        core->check_end();
        core->hint_second_buffers();
    } catch (const KernelEnded&) {
        fiber.state = Fiber::State::ended;  // the reason has been reported
    } catch (const std::exception& error) {
        launch.report(*core, "exception", error.what(), {launch.kernel_.name, 0});
    }
    fiber.state = Fiber::State::ended;
    swapcontext(&fiber.context, &launch.scheduler_);
}

void Launch::give_way(Fiber& fiber) { swapcontext(&fiber.context, &scheduler_); }

/// Run each core that can go on until it waits or ends; false if none could.
bool Launch::run_ready() {
    ran_ = false;
    for (const std::unique_ptr<Fiber>& fiber : fibers_) {
        if (fiber->state != Fiber::State::ready || out_of_time_) {
            continue;
        }
        ran_ = true;
        if (fiber->stack == nullptr) {
            fiber->stack = take(idle_stacks(), [] {
                return std::unique_ptr<char[]>(new char[stack_bytes]);  // not zeroed
            });
            getcontext(&fiber->context);
            fiber->context.uc_stack.ss_sp = fiber->stack.get();
            fiber->context.uc_stack.ss_size = stack_bytes;
            fiber->context.uc_link = &scheduler_;
            makecontext(&fiber->context, &Launch::enter_fiber, 0);
        }
        running_ = fiber.get();
        core = fiber->core.get();
        swapcontext(&scheduler_, &fiber->context);
        if (fiber->state == Fiber::State::ended) {
            idle_stacks().push_back(std::move(fiber->stack));
        }
    }
    return ran_;
}

std::string Launch::run() {
    Launch* const outer = launching;
    launching = this;
    make_cores();
    while (run_ready() || release_sync()) {
    }
    if (!out_of_time_) {
        report_deadlock();
    }
    if (trace_ != nullptr) {
        trace_->write();
    }
    if (checks) {
        check_spans();
        check_lines();
    }
    core = nullptr;
    launching = outer;
    if (findings_.empty()) {
        return {};
    }
    std::string text = "kernel " + std::string(kernel_.name) + " on " + soc().name + ":";
    for (std::size_t index = 0; index < std::min(findings_.size(), most_findings); ++index) {
        text += "\n  " + findings_[index];
    }
    if (findings_.size() > most_findings) {
        text += "\n  and " + std::to_string(findings_.size() - most_findings) + " more";
    }
    return text;
}

void Launch::report(const Core& core, const char* kind, const std::string& what, Site site) {
    std::string text = place(site) + ": [" + kind + "] " + what;
    if (known_findings_.insert(text).second) {
        findings_.push_back(text + " (block " + std::to_string(core.block) + ")");
    }
}

void Launch::end_out_of_time(const Core& core, const Instruction& instruction) {
    out_of_time_ = true;
    const long seconds = ascend_emulator::services().options().kernel_timeout_s;
    report(core, "timeout",
           std::string(instruction.name) + " runs after the kernel has used " +
               std::to_string(seconds) +
               " s of CPU time (ASCEND_EMULATOR_KERNEL_TIMEOUT_S); a loop around it may never end, "
               "and a device stops such a kernel too",
           instruction.site);
    throw KernelEnded{};
}

std::uint32_t Launch::remember(const Instruction& instruction) {
    const auto file = reinterpret_cast<std::uintptr_t>(instruction.site.file);
    const auto name = reinterpret_cast<std::uintptr_t>(instruction.name);
    const std::uint64_t key = (file * 1000003 ^ name) * 1000003 ^
                              (std::uint64_t{instruction.site.line} << 3) ^
                              static_cast<std::uint64_t>(instruction.pipe);
    const auto [found, is_new] =
        instruction_ids_.try_emplace(key, static_cast<std::uint32_t>(instructions_.size()));
    if (is_new) {
        instructions_.push_back(instruction);
    }
    return found->second;
}

std::string Launch::describe(const Fiber& fiber) const {
    const Core& of = *fiber.core;
    std::string text =
        of.is_cube() ? "the cube core" : "vector core " + std::to_string(of.sub_block);
    text += " of block " + std::to_string(of.block);
    if (fiber.state == Fiber::State::ended) {
        return text + " has ended";
    }
    text += fiber.state == Fiber::State::in_sync_all ? " waits in SyncAll"
            : fiber.state == Fiber::State::waits_for_block
                ? std::string(" waits in ") + fiber.waits_in
                : " waits for flag " + std::to_string(fiber.flag);
    return text + " at " + place(fiber.site);
}

void Launch::report_deadlock() {
    std::string text;
    const Fiber* first = nullptr;
    int shown = 0;
    for (const std::unique_ptr<Fiber>& fiber : fibers_) {
        if (fiber->state == Fiber::State::ended && shown >= 4) {
            continue;
        }
        if (fiber->state != Fiber::State::ended && first == nullptr) {
            first = fiber.get();
        }
        if (shown < 8) {
            text += (shown == 0 ? "" : "; ") + describe(*fiber);
            ++shown;
        }
    }
    if (first != nullptr) {
        report(*first->core, "deadlock", "no core can go on, and a device hangs here: " + text,
               first->site);
    }
}

// What a core calls.

void Core::report(const char* kind, const std::string& what, Site site) {
    if (launch->checks) {
        launch->report(*this, kind, what, site);
    }
}

void Core::end(const char* kind, const std::string& what, Site site) {
    launch->report(*this, kind, what, site);
    throw KernelEnded{};
}

void* Core::global(const Instruction& instruction, const void* address, std::uint64_t bytes,
                   bool writes, const void* values) {
    return launch->global(*this, instruction, address, bytes, writes, values);
}

void Core::clean_cache(const void* address) { launch->clean_cache(*this, address); }

void Core::sync_all(bool vector_only, Site site) { launch->sync_all(*this, vector_only, site); }

void Core::set_cross_core_flag(int mode, Pipe pipe, int id, Site site) {
    launch->set_flag(*this, mode, pipe, id, site);
}

void Core::wait_cross_core_flag(int id, Site site) { launch->wait_flag(*this, id, site); }

// Queueing.

namespace {

class KernelTask final : public ascend_emulator::Task {
  public:
    KernelTask(std::unique_ptr<KernelLaunch> kernel, void* stream)
        : kernel_(std::move(kernel)), stream_(stream) {}

    int run() override {
        Launch launch(*kernel_, stream_);
        const std::string problem = launch.run();
        return problem.empty() ? 0
                               : ascend_emulator::services().fail(
                                     launch.is_out_of_time() ? timeout : kernel_failure, problem);
    }
    const char* name() const override { return kernel_->name; }

  private:
    static constexpr int timeout = 507014;         // ACL_ERROR_RT_AICORE_TIMEOUT
    static constexpr int kernel_failure = 507015;  // ACL_ERROR_RT_AICORE_EXCEPTION

    std::unique_ptr<KernelLaunch> kernel_;
    void* stream_;
};

/// A message if the launch cannot be queued, or "".
std::string why_refused(const KernelLaunch& launch) {
    const std::string name = launch.name;
    if (launch.blocks < 1 || launch.blocks > 65535) {
        return "kernel " + name + ": the number of blocks must be 1 to 65535, got " +
               std::to_string(launch.blocks);
    }
    if (soc().arch == unknown_arch) {
        return "kernel " + name + " cannot run on " + soc().name +
               ": the emulated AI core has the sizes of Ascend910B, Ascend910_93, Ascend310P, "
               "Ascend310B and Ascend950 only";
    }
    if (launch.arch != soc().arch) {
        return "kernel " + name + " is compiled for dav-" + std::to_string(launch.arch) + ", and " +
               soc().name + " is dav-" + std::to_string(soc().arch) +
               "; compile it with --npu-arch=dav-" + std::to_string(soc().arch);
    }
    if (soc().arch == arch_of_ascend950 && launch.type != KernelType::vector) {
        return "kernel " + name + " runs on cube cores, and the emulated " + soc().name +
               " has the vector cores only: L0A of Ascend 950 has another format, and its cores "
               "exchange data in another way than those of dav-2201; mark a kernel that needs no "
               "cube core with __vector__ or KERNEL_TYPE_AIV_ONLY";
    }
    return {};
}

}  // namespace

int submit(std::unique_ptr<KernelLaunch> launch, void* stream) {
    ascend_emulator::Services& services = ascend_emulator::services();
    if (const int refused = services.enter("aclrtLaunchKernel")) {
        return refused;
    }
    const std::string problem = why_refused(*launch);
    if (!problem.empty()) {
        std::fprintf(stderr, "[emulated NPU] %s\n", problem.c_str());
        return services.fail(507000, problem);
    }
    return services.enqueue(stream, std::make_shared<KernelTask>(std::move(launch), stream));
}

void* bytes_of(const void* address) { return ascend_emulator::services().bytes_of(address); }

}  // namespace aicore
