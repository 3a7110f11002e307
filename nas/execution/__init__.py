"""Running evaluations somewhere: in this process, or in Ray workers, with the same results."""

from nas.execution.executor import Executor, Task
from nas.execution.serial import SerialExecutor

__all__ = ["Executor", "SerialExecutor", "Task"]
