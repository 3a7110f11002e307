"""Executors evaluate candidates in this process, or in Ray workers, with the same results."""

from nas.execution.executor import Executor, SharedExecutor, SharingExecutor, StopFlag, Task
from nas.execution.executors import Workers, executor_for

__all__ = [
    "Executor",
    "SharedExecutor",
    "SharingExecutor",
    "StopFlag",
    "Task",
    "Workers",
    "executor_for",
]
