#include "emulator/checks/races.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>

#include "emulator/interface/services.h"
#include "emulator/runtime/objects/window.h"

namespace ascend_emulator {
namespace {

using Actor = std::size_t;
constexpr Actor host = 0;

void join(VectorClock& clock, const VectorClock& other) {
    if (clock.size() < other.size()) {
        clock.resize(other.size());
    }
    for (std::size_t i = 0; i < other.size(); ++i) {
        clock[i] = std::max(clock[i], other[i]);
    }
}

std::uint32_t at(const VectorClock& clock, Actor actor) {
    return actor < clock.size() ? clock[actor] : 0;
}

struct Visit {
    Actor actor = host;
    std::uint32_t time = 0;  // 0: no visit
    std::string task;
};

/// The last accesses to a range of bytes.
struct Cell {
    std::uintptr_t end = 0;
    Visit write;
    std::vector<Visit> reads;  // the last read of each actor since the write
};

class Detector {
  public:
    Actor actor_of(int device, int stream) {
        const auto added = actors_.try_emplace({device, stream}, names_.size());
        if (added.second) {
            names_.push_back("stream " + std::to_string(stream) + " of device " +
                             std::to_string(device));
            clocks_.emplace_back();
        }
        return added.first->second;
    }

    /// Advance the clock of `actor`. A stream's clock includes the host's.
    Visit begin(Actor actor, const char* task) {
        VectorClock& clock = clocks_[actor];
        join(clock, clocks_[host]);
        if (clock.size() <= actor) {
            clock.resize(actor + 1);
        }
        return {actor, ++clock[actor], task};
    }

    void visit(const Visit& visit, const Access& access) {
        const auto begin = reinterpret_cast<std::uintptr_t>(access.address);
        if (access.bytes == 0 || !Window::instance().holds(access.address)) {
            return;
        }
        split(begin);
        split(begin + access.bytes);
        fill_gaps(begin, begin + access.bytes);
        bool reported = false;
        for (auto cell = cells_.lower_bound(begin);
             cell != cells_.end() && cell->first < begin + access.bytes; ++cell) {
            reported = reported || report_race(visit, access, cell->second);
            update(visit, access.writes, cell->second);
        }
    }

    void forget(std::uintptr_t begin, std::uintptr_t end) {
        split(begin);
        split(end);
        cells_.erase(cells_.lower_bound(begin), cells_.lower_bound(end));
    }

    std::mutex mutex;
    std::vector<VectorClock> clocks_{1};
    long races = 0;

  private:
    void split(std::uintptr_t where) {
        auto cell = cells_.lower_bound(where);
        if (cell == cells_.begin()) {
            return;
        }
        --cell;
        if (cell->second.end > where && cell->first < where) {
            Cell upper = cell->second;
            cell->second.end = where;
            cells_.emplace(where, std::move(upper));
        }
    }

    void fill_gaps(std::uintptr_t begin, std::uintptr_t end) {
        while (begin < end) {
            const auto cell = cells_.lower_bound(begin);
            const std::uintptr_t gap_end = cell == cells_.end() ? end : std::min(end, cell->first);
            if (begin < gap_end) {
                cells_[begin].end = gap_end;
                begin = gap_end;
            } else {
                begin = cell->second.end;
            }
        }
    }

    bool is_ordered(const Visit& earlier, const Visit& later) const {
        return earlier.time == 0 || at(clocks_[later.actor], earlier.actor) >= earlier.time;
    }

    bool report_race(const Visit& visit, const Access& access, const Cell& cell) {
        if (!is_ordered(cell.write, visit)) {
            return report(visit, access, cell.write, "writes");
        }
        for (const Visit& read : cell.reads) {
            if (access.writes && !is_ordered(read, visit)) {
                return report(visit, access, read, "reads");
            }
        }
        return false;
    }

    bool report(const Visit& later, const Access& access, const Visit& earlier,
                const char* earlier_does) {
        ++races;
        std::fprintf(stderr,
                     "[emulated NPU] race: %s on %s %s %zu bytes at %p, which %s on %s %s; nothing "
                     "orders the two. Record an event after the earlier one and wait for it before "
                     "the later one, or synchronise.\n",
                     later.task.c_str(), names_[later.actor].c_str(),
                     access.writes ? "writes" : "reads", access.bytes, access.address,
                     earlier.task.c_str(), names_[earlier.actor].c_str(), earlier_does);
        return true;
    }

    static void update(const Visit& visit, bool writes, Cell& cell) {
        if (writes) {
            cell.write = visit;
            cell.reads.clear();
            return;
        }
        for (Visit& read : cell.reads) {
            if (read.actor == visit.actor) {
                read = visit;
                return;
            }
        }
        cell.reads.push_back(visit);
    }

    std::map<std::pair<int, int>, Actor> actors_;
    std::vector<std::string> names_{"the host"};
    std::map<std::uintptr_t, Cell> cells_;
};

Detector& detector() {
    static auto* const only = new Detector;
    return *only;
}

}  // namespace

void note_task(int device, int stream, const Task& task) {
    Detector& found = detector();
    const std::lock_guard<std::mutex> lock(found.mutex);
    const Visit visit = found.begin(found.actor_of(device, stream), task.name());
    for (const Access& access : task.accesses()) {
        found.visit(visit, access);
    }
}

void note_host_wait(int device, int stream) {
    Detector& found = detector();
    const std::lock_guard<std::mutex> lock(found.mutex);
    const Actor actor = found.actor_of(device, stream);
    join(found.clocks_[host], found.clocks_[actor]);
}

VectorClock clock_of(int device, int stream) {
    Detector& found = detector();
    const std::lock_guard<std::mutex> lock(found.mutex);
    return found.clocks_[found.actor_of(device, stream)];
}

void note_stream_wait(int device, int stream, const VectorClock& record) {
    Detector& found = detector();
    const std::lock_guard<std::mutex> lock(found.mutex);
    join(found.clocks_[found.actor_of(device, stream)], record);
}

void note_host_wait(const VectorClock& record) {
    Detector& found = detector();
    const std::lock_guard<std::mutex> lock(found.mutex);
    join(found.clocks_[host], record);
}

void note_host_access(const char* function, const void* address, std::size_t bytes, bool writes) {
    Detector& found = detector();
    const std::lock_guard<std::mutex> lock(found.mutex);
    found.visit(found.begin(host, function), {address, bytes, writes});
}

void forget_accesses(const void* address, std::size_t bytes) {
    Detector& found = detector();
    const std::lock_guard<std::mutex> lock(found.mutex);
    const auto begin = reinterpret_cast<std::uintptr_t>(address);
    found.forget(begin, begin + bytes);
}

long race_count() {
    Detector& found = detector();
    const std::lock_guard<std::mutex> lock(found.mutex);
    return found.races;
}

}  // namespace ascend_emulator
