"""Running evaluations somewhere: in this process, or in Ray workers, with the same results."""

from nas.execution.executor import Executor
from nas.execution.serial import SerialExecutor

__all__ = ["Executor", "SerialExecutor"]
