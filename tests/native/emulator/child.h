// A child process for each abuse: a process that has used the emulated NPU cannot be forked.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

/// How a child that calls `run` ends: its exit code, or minus the signal.
template <class Run>
int in_child(Run run) {
    const pid_t child = fork();
    if (child == 0) {
        run();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
