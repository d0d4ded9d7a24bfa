#include "emulator/faults/faulty_task.h"

#include <unistd.h>

#include <chrono>
#include <thread>

#include "emulator/faults/fault_plan.h"

namespace ascend_emulator {
namespace {

class Faulty : public Task {
  public:
    Faulty(TaskPtr task, Fault fault) : task_(std::move(task)), fault_(std::move(fault)) {}
    int run() override {
        if (fault_.kind == Fault::Kind::delay) {
            std::this_thread::sleep_for(std::chrono::milliseconds(fault_.value));
            return task_->run();
        }
        for (;;) {
            pause();
        }
    }
    const char* name() const override { return task_->name(); }
    std::vector<Access> accesses() const override { return task_->accesses(); }
    std::string arguments() const override { return task_->arguments(); }

  private:
    TaskPtr task_;
    Fault fault_;
};

}  // namespace

TaskPtr with_fault(TaskPtr task) {
    Fault fault;
    return take_task_fault(&fault) ? std::make_shared<Faulty>(std::move(task), fault) : task;
}

}  // namespace ascend_emulator
