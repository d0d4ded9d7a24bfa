// Which instruction has waited for which, and the accesses that no wait puts in order.
#include <algorithm>

#include "ascendc/core.h"
#include "emulator/ascendc/launch.h"
#include "emulator/ascendc/shadow.h"
#include "emulator/ascendc/soc.h"
#include "emulator/ascendc/timeline.h"

namespace aicore {
namespace {

constexpr int last_event = 7;
const char* const pipe_names[] = {"S", "V", "M", "MTE1", "MTE2", "MTE3", "FIX", "ALL"};

int index_of(Pipe pipe) { return static_cast<int>(pipe); }

std::string event_name(Pipe source, Pipe destination) {
    return std::string("HardEvent::") + name_of(source) + "_" + name_of(destination);
}

std::string flag_name(Pipe source, Pipe destination, int id) {
    return event_name(source, destination) + " with event id " + std::to_string(id);
}

}  // namespace

const char* name_of(Pipe pipe) { return pipe_names[index_of(pipe)]; }

Clock Core::known_by(Pipe pipe) const {
    Clock clock = known_[index_of(pipe)];
    clock.ended[index_of(pipe)] = issued_.ended[index_of(pipe)];
    return clock;
}

Clock Core::snapshot(Pipe pipe) const {
    Clock clock = known_by(pipe);
    if (timeline != nullptr) {
        clock.time = timeline->time(pipe);
    }
    return clock;
}

void Core::learn(Pipe pipe, const Clock& clock) {
    Clock& known = known_[index_of(pipe)];
    for (int other = 0; other < pipe_count; ++other) {
        known.ended[other] = std::max(known.ended[other], clock.ended[other]);
    }
}

void Core::wait_for(Pipe pipe, const Clock& clock) {
    learn(pipe, clock);
    if (timeline != nullptr) {
        timeline->wait(pipe, clock.time);
    }
}

void Core::barrier(Pipe pipe) {
    if (pipe != Pipe::all) {
        known_[index_of(pipe)].ended[index_of(pipe)] = issued_.ended[index_of(pipe)];
        return;  // in the timeline a pipe runs one instruction after another anyway
    }
    tell_all_pipes();
    follow(Pipe::all, Pipe::all);
}

void Core::tell_all_pipes() {
    for (Clock& known : known_) {
        known = issued_;
    }
}

void Core::set_flag(Pipe source, Pipe destination, int id, Site site) {
    if (id < 0 || id > last_event) {
        end("event", "SetFlag: the event id must be 0 to 7, got " + std::to_string(id), site);
    }
    Flag& flag = flags_[index_of(source)][index_of(destination)][id];
    if (flag.set) {
        report("event",
               "SetFlag of " + flag_name(source, destination, id) + ", which is set since line " +
                   std::to_string(flag.site.line) + "; WaitFlag must come between them",
               site);
    }
    flag = {true, snapshot(source), site};
}

void Core::wait_flag(Pipe source, Pipe destination, int id, Site site) {
    if (id < 0 || id > last_event) {
        end("event", "WaitFlag: the event id must be 0 to 7, got " + std::to_string(id), site);
    }
    Flag& flag = flags_[index_of(source)][index_of(destination)][id];
    if (!flag.set) {
        end("event",
            "WaitFlag of " + flag_name(source, destination, id) +
                " without a SetFlag before it; a device hangs here",
            site);
    }
    wait_for(destination, flag.clock);
    flag.set = false;
}

int Core::take_event(Pipe source, Pipe destination, Site site) {
    const int id = peek_event(source, destination);
    std::uint8_t& taken = events_[index_of(source)][index_of(destination)];
    if ((taken >> id & 1) != 0) {
        report("event",
               "AllocEventID<" + event_name(source, destination) +
                   ">: all 8 ids are taken; ReleaseEventID gives one back",
               site);
    }
    taken = static_cast<std::uint8_t>(taken | 1U << id);
    return id;
}

int Core::peek_event(Pipe source, Pipe destination) const {
    const std::uint8_t taken = events_[index_of(source)][index_of(destination)];
    int id = 0;
    while (id < last_event && (taken >> id & 1) != 0) {
        ++id;
    }
    return id;
}

void Core::give_event(Pipe source, Pipe destination, int id, Site site) {
    std::uint8_t& taken = events_[index_of(source)][index_of(destination)];
    if (id < 0 || id > last_event || (taken >> id & 1) == 0) {
        report("event",
               "ReleaseEventID of " + flag_name(source, destination, id) +
                   ", which AllocEventID did not give out",
               site);
        return;
    }
    taken = static_cast<std::uint8_t>(taken & ~(1U << id));
}

void Core::check_end() {
    for (int source = 0; source < pipe_count; ++source) {
        for (int destination = 0; destination < pipe_count; ++destination) {
            for (int id = 0; id <= last_event; ++id) {
                const Flag& flag = flags_[source][destination][id];
                if (flag.set) {
                    report("event",
                           "SetFlag of " +
                               flag_name(static_cast<Pipe>(source), static_cast<Pipe>(destination),
                                         id) +
                               " has no WaitFlag when the kernel ends; the next kernel would find "
                               "the flag set",
                           flag.site);
                }
            }
        }
    }
}

/// Whether `pipe` may rely on instruction `number` of pipe `before` having ended.
bool Core::is_ordered(Pipe pipe, int before, std::uint32_t number) {
    const int own = index_of(pipe);
    if (known_[own].ended[before] >= number || (before == own && pipe != Pipe::v)) {
        return true;  // a pipe other than V runs its instructions one after another
    }
    const bool vector_to_vector = pipe == Pipe::v && before == index_of(Pipe::v);
    if (vector_to_vector && soc().arch == arch_of_ascend950) {
        return true;  // the hardware of Ascend 950 keeps this order
    }
    if (!launch->auto_sync) {
        return false;
    }
    // What --cce-auto-sync inserts where the compiler sees the dependency.
    const bool scalar = pipe == Pipe::s || before == index_of(Pipe::s);
    const bool on_cube = pipe == Pipe::m || pipe == Pipe::mte1 || pipe == Pipe::fix ||
                         before == index_of(Pipe::m) || before == index_of(Pipe::mte1) ||
                         before == index_of(Pipe::fix);
    if (vector_to_vector || (scalar && !on_cube)) {
        learn(pipe, known_by(static_cast<Pipe>(before)));
        return true;
    }
    return false;
}

void Core::hazard(const char* kind, int before, std::uint32_t site, const Instruction& after) {
    const Instruction& first = launch->instruction(site);
    const std::string pipe = name_of(after.pipe);
    const std::string needed = before == index_of(after.pipe)
                                   ? "PipeBarrier<PIPE_" + pipe + ">()"
                                   : "SetFlag and WaitFlag<" +
                                         event_name(static_cast<Pipe>(before), after.pipe) +
                                         ">, or a queue,";
    report("hazard",
           std::string(kind) + ": " + after.name + " on PIPE_" + pipe + " does not wait for " +
               first.name + " on PIPE_" + pipe_names[before] + " at line " +
               std::to_string(first.site.line) + "; " + needed + " must come between them",
           after.site);
}

void Core::check_order(Shadow& shadow, const Instruction& instruction, bool writes) {
    if (shadow.write_number != 0 &&
        !is_ordered(instruction.pipe, shadow.write_pipe, shadow.write_number)) {
        hazard(writes ? "write after write" : "read after write", shadow.write_pipe,
               shadow.write_site, instruction);
    }
    if (!writes) {
        return;
    }
    for (int pipe = 0; pipe < pipe_count; ++pipe) {
        if (shadow.read_number[pipe] != 0 &&
            !is_ordered(instruction.pipe, pipe, shadow.read_number[pipe])) {
            hazard("write after read", pipe, shadow.read_site[pipe], instruction);
        }
    }
}

void Core::access(const Instruction& instruction, std::uint32_t address, std::uint64_t bytes,
                  bool writes, const Buffer* buffer, std::uint32_t generation) {
    if (bytes == 0) {
        return;
    }
    const Space space = space_of(address);
    if (address + bytes > std::uint64_t{base(space)} + Core::bytes(space)) {
        end("bounds",
            std::string(instruction.name) + (writes ? " writes " : " reads ") +
                std::to_string(address + bytes - base(space) - Core::bytes(space)) +
                " bytes behind the end of " + name_of(space),
            instruction.site);
    }
    launch->check_time(*this, instruction);
    if (timeline != nullptr) {
        timeline->access(instruction, space, address, bytes, writes);
    }
    if (!launch->checks) {
        return;
    }
    if (buffer != nullptr) {
        check_buffer(instruction, address, bytes, *buffer, generation);
    }
    const Access access{static_cast<std::uint8_t>(index_of(instruction.pipe)),
                        ++issued_.ended[index_of(instruction.pipe)], launch->remember(instruction),
                        writes};
    const std::uint32_t last = (address + static_cast<std::uint32_t>(bytes) - 1) / granule;
    std::uint32_t unwritten = 0;
    std::uint32_t first_unwritten = 0;
    for (std::uint32_t index = address / granule; index <= last; ++index) {
        if (!touch(shadow_[index], instruction, access)) {
            first_unwritten = unwritten++ == 0 ? index : first_unwritten;
        }
    }
    if (unwritten != 0) {
        report("uninitialised",
               std::string(instruction.name) + " reads " + std::to_string(unwritten * granule) +
                   " bytes of " + name_of(space) + " from offset " +
                   std::to_string(first_unwritten * granule - base(space)) +
                   " on, which nothing has written",
               instruction.site);
    }
}

/// Note an access to one granule; false if it reads what nothing has written.
bool Core::touch(Shadow& shadow, const Instruction& instruction, const Access& access) {
    if (shadow.run != run_) {
        shadow = {};
        shadow.run = run_;
    }
    check_order(shadow, instruction, access.writes);
    if (access.writes) {
        shadow.written = true;
        shadow.write_pipe = access.pipe;
        shadow.write_number = access.number;
        shadow.write_site = access.site;
        std::fill(std::begin(shadow.read_number), std::end(shadow.read_number), 0U);
        return true;
    }
    shadow.read_number[access.pipe] = access.number;
    shadow.read_site[access.pipe] = access.site;
    const bool was_written = shadow.written;
    shadow.written = true;  // one report is enough
    return was_written;
}

void Core::check_buffer(const Instruction& instruction, std::uint32_t address, std::uint64_t bytes,
                        const Buffer& buffer, std::uint32_t generation) {
    if (buffer.generation != generation || buffer.state == Buffer::State::free) {
        report("freed",
               std::string(instruction.name) +
                   " uses a tensor after FreeTensor gave its buffer back to the queue",
               instruction.site);
        return;
    }
    const std::uint64_t end_of_buffer =
        std::uint64_t{buffer.address} + (buffer.bytes + granule - 1) / granule * granule;
    if (address < buffer.address || address + bytes > end_of_buffer) {
        report("bounds",
               std::string(instruction.name) + " leaves the tensor's buffer of " +
                   std::to_string(buffer.bytes) + " bytes by " +
                   std::to_string(address < buffer.address ? buffer.address - address
                                                           : address + bytes - end_of_buffer) +
                   " bytes",
               instruction.site);
    }
}

}  // namespace aicore
